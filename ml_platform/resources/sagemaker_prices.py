"""What a SageMaker job costs, roughly: on-demand list prices by instance type, with the date they were noted.

An estimate for people who look at a run, not a bill: no discounts, no storage, no other regions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Prices of an instance hour in one region."""

    region: str
    noted_on: date
    usd_per_hour: Mapping[str, float] = field(default_factory=dict)

    def estimate(self, region: str, instance_type: str, instance_count: int, seconds: int) -> float | None:
        """Return the cost in US dollars; None when the price of this instance there is not known."""
        price = self.usd_per_hour.get(instance_type) if region == self.region else None
        return None if price is None else price * instance_count * seconds / 3600


LIST_PRICES = PriceTable(
    region="us-east-1",
    noted_on=date(2025, 1, 15),
    usd_per_hour=MappingProxyType(
        {
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
        }
    ),
)
