"""What a simulated world of payments is made of: every number of the process, frozen and hashable.

The process itself is ``simulator``; who lives in the world is ``simulated_world``.
"""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.core.settings import Settings


class SimulatorParameters(BaseModel):
    """The published values of the Fraud Detection Handbook's simulator, for a world of any size.

    Rates of fraud are given for the book's world (10,000 terminals, 5,000 customers) and scale with this one's,
    so that a small world has the same share of fraud.
    """

    model_config = ConfigDict(frozen=True)

    seed: int = Field(default=7, description="Two worlds with the same seed and parameters are the same to the byte.")
    customers: int = Field(default=1000, gt=0)
    terminals: int = Field(default=2000, gt=0)

    grid: float = Field(default=100.0, gt=0, description="Customers and terminals live on a square of this side.")
    radius: float = Field(default=5.0, gt=0, description="A customer pays only at terminals within this distance.")
    mean_amount_low: float = Field(default=5.0, ge=0)
    mean_amount_high: float = Field(default=100.0, gt=0)
    max_daily_transactions: float = Field(default=4.0, gt=0, description="A customer's daily mean is U(0, this).")
    time_of_day_mean_seconds: float = Field(default=86_400 / 2)
    time_of_day_std_seconds: float = Field(default=20_000.0, gt=0)

    large_amount: float = Field(default=220.0, gt=0, description="Scenario 1: every amount above this is fraud.")
    terminals_compromised_per_day: float = Field(default=2.0, ge=0, description="Scenario 2, per 10,000 terminals.")
    terminal_compromised_days: int = Field(default=28, gt=0, description="Scenario 2: the day of the draw included.")
    customers_compromised_per_day: float = Field(default=3.0, ge=0, description="Scenario 3, per 5,000 customers.")
    customer_compromised_days: int = Field(default=14, gt=0, description="Scenario 3: the day of the draw included.")
    customer_fraud_rate: float = Field(default=1 / 3, ge=0, le=1, description="Scenario 3: share of the card's use.")
    customer_fraud_factor: float = Field(default=5.0, gt=0, description="Scenario 3: fraud multiplies the amount.")

    shift_day: int | None = Field(default=None, description="Day index from which prices are `shift_factor` higher.")
    shift_factor: float = Field(
        default=1.8, gt=0, description="At 1.4 the score drifts but no feature reaches a PSI of 0.25; at 1.8 both do."
    )

    maturity_days: int = Field(
        default=7, ge=0, description="A transaction that nobody disputed for so long is presumed genuine."
    )
    report_delay_mean_days: float = Field(default=6.5, gt=0, description="Mean of the gamma delay of a fraud report.")
    report_delay_shape: float = Field(
        default=9.0, gt=0, description="Shape of the gamma delay: with 9, 37 % are later than 7 days, 0.3 % than 14."
    )
    report_delay_min_days: float = Field(default=0.5, ge=0)
    report_delay_max_days: float = Field(default=30.0, gt=0)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the world that the settings describe."""
        return cls(
            seed=settings.simulator_seed,
            customers=settings.simulator_customers,
            terminals=settings.simulator_terminals,
            shift_day=settings.simulator_shift_day,
        )

    def price_level(self, day_index: int) -> float:
        """Return what prices are multiplied with on a day: 1, or ``shift_factor`` from the shift on."""
        shifted = self.shift_day is not None and day_index >= self.shift_day
        return self.shift_factor if shifted else 1.0
