"""What a SageMaker job costs, roughly: on-demand prices by instance type, ours or those of a person's own file.

Not a bill: no discounts, no storage. A price that is not known gives no estimate, rather than a wrong one. The file,
named by the setting ``prices_file``, is YAML or JSON::

    region: us-east-1
    source: AWS price list
    as_of: 2026-11-01
    usd_per_hour:
      ml.m5.large: 0.115
"""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Self

import yaml  # type: ignore[import-untyped]
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ml_platform.core.errors import ConfigurationError


class PriceTable(BaseModel):
    """Prices of an instance hour in one region."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    region: str
    source: str = Field(description="Where the prices come from, shown beside every estimate.", min_length=1)
    as_of: date | None = Field(default=None, description="The day on which they were looked up.")
    usd_per_hour: Mapping[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a YAML or JSON file.

        Raises:
            ConfigurationError: When it cannot be read, or is no price table.
        """
        try:
            return cls.model_validate(yaml.safe_load(path.read_text()))
        except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
            raise ConfigurationError(
                f"{path} cannot be used as a price table: {error} It has region, source, as_of (a day) and "
                "usd_per_hour (instance type: price). Mend it, or unset ML_PLATFORM_PRICES_FILE."
            ) from error

    def estimate(self, region: str, instance_type: str, instance_count: int, seconds: int) -> float | None:
        """Return the cost in US dollars; None when the price of this instance there is not known."""
        price = self.usd_per_hour.get(instance_type) if region == self.region else None
        return None if price is None else price * instance_count * seconds / 3600

    @property
    def told_source(self) -> str:
        """Where the prices come from, and from when they are."""
        return f"{self.source} ({self.as_of})" if self.as_of else self.source


INDICATIVE_PRICES = PriceTable(
    region="us-east-1",
    source="indicative us-east-1 prices, not looked up in AWS's price list",
    usd_per_hour={
        "ml.t3.medium": 0.05,
        "ml.t3.large": 0.10,
        "ml.m5.large": 0.115,
        "ml.m5.xlarge": 0.23,
        "ml.m5.2xlarge": 0.461,
        "ml.m5.4xlarge": 0.922,
        "ml.m5.12xlarge": 2.765,
        "ml.c5.xlarge": 0.204,
        "ml.c5.2xlarge": 0.408,
        "ml.c5.4xlarge": 0.816,
        "ml.g4dn.xlarge": 0.736,
        "ml.g5.xlarge": 1.408,
        "ml.p3.2xlarge": 3.825,
    },
)


def prices(path: Path | None) -> PriceTable:
    """Return the prices of a file; without one, the indicative ones."""
    return INDICATIVE_PRICES if path is None else PriceTable.load(path)
