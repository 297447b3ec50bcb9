"""What a SageMaker job costs, roughly: indicative on-demand prices by instance type.

They were not looked up in AWS's price list, and every run that shows an estimate says so. Not a bill in any case: no
discounts, no storage, no other regions. Hand ``estimate`` a table of your own to have figures you can answer for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Prices of an instance hour in one region."""

    region: str
    source: str
    """Where the prices come from, shown beside every estimate."""
    usd_per_hour: Mapping[str, float] = field(default_factory=dict)

    def estimate(self, region: str, instance_type: str, instance_count: int, seconds: int) -> float | None:
        """Return the cost in US dollars; None when the price of this instance there is not known."""
        price = self.usd_per_hour.get(instance_type) if region == self.region else None
        return None if price is None else price * instance_count * seconds / 3600


INDICATIVE_PRICES = PriceTable(
    region="us-east-1",
    source="indicative us-east-1 prices, not looked up in AWS's price list",
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
