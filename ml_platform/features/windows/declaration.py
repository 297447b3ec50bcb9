"""What a window feature is, as data: every engine computes from these declarations, none has rules of its own.

A feature is a function of an entity and an instant ``t``: it looks at the source's rows of that entity in a window
that ends at ``t - delay`` and is ``window`` long. Windows are lengths of time between instants, never calendar days,
so time zones and daylight saving cannot move them. The product's own declarations are ``features.windows.payments``;
computing them is ``features.windows.on_polars`` and ``on_spark``.
"""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Aggregate = Literal["count", "sum", "mean", "min", "max", "std", "distinct", "rate", "last", "since_previous"]
"""``count`` and ``rate`` look at rows, ``since_previous`` at their time (seconds since the newest), the others at a
column; ``distinct`` counts its values, ``std`` is the sample's, ``last`` the newest row's (of several in that instant
the one with the greatest id)."""

Bounds = Literal["up_to_now", "before_now"]
"""``up_to_now`` is ``(t - delay - window, t - delay]``: without a delay the current row, and all of its instant, are
included. ``before_now`` is ``[t - delay - window, t - delay)``: they are not."""

Operator = Literal["==", "!=", "<", "<=", ">", ">="]

_LOOKS_AT_A_COLUMN = frozenset({"sum", "mean", "min", "max", "std", "distinct", "last"})
_ADDS_UP = frozenset({"count", "sum", "mean", "std", "rate"})
_ZERO_WHEN_EMPTY = frozenset({"count", "sum", "distinct", "rate"})
_MICROSECOND = timedelta(microseconds=1)


class Compare(BaseModel):
    """Whether a column of the row compares so with a literal. An absent value does not, whatever the operator."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["compare"] = "compare"
    column: str
    operator: Operator
    value: bool | int | float | str


class KnownFraud(BaseModel):
    """Whether the row was known to be a fraud at ``t``: by the newest label with ``known_time <= t``.

    Of two labels learnt in the same instant the fraud holds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["known_fraud"] = "known_fraud"


Condition = Annotated[Compare | KnownFraud, Field(discriminator="kind")]


class WindowFeature(BaseModel):
    """One feature over one window."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    aggregate: Aggregate
    column: str | None = Field(default=None, description="What is aggregated. Rows without a value are not seen.")
    window: timedelta = Field(ge=_MICROSECOND, description="How long the window is.")
    delay: timedelta = Field(default=timedelta(0), ge=timedelta(0), description="How long before t it ends.")
    bounds: Bounds = "up_to_now"
    where: tuple[Condition, ...] = Field(default=(), description="Rows the window sees: all of these must hold.")
    share_of: Condition | None = Field(default=None, description="For a rate: of the rows seen, the share with this.")
    decimals: int = Field(
        default=6,
        ge=0,
        le=9,
        description="Sums are over whole units of this many decimals: exact, so that no order of rows changes one.",
    )
    meaning: str = Field(min_length=1, description="What it says, for a person.")
    unit: str = Field(min_length=1)
    owner: str | None = Field(default=None, description="Who answers for it; the table's owner unless named.")

    @model_validator(mode="after")
    def _is_computable(self) -> Self:
        if (self.column is not None) != (self.aggregate in _LOOKS_AT_A_COLUMN):
            needs = "needs" if self.aggregate in _LOOKS_AT_A_COLUMN else "takes no"
            raise ValueError(f"{self.name}: {self.aggregate} {needs} column")
        if (self.share_of is not None) != (self.aggregate == "rate"):
            raise ValueError(f"{self.name}: share_of belongs to the aggregate rate, and rate needs it")
        if self.aggregate == "since_previous" and self.bounds != "before_now":
            raise ValueError(
                f"{self.name}: since_previous needs bounds before_now; else the row itself is the previous"
            )
        if self.looks_at_labels and self.aggregate not in _ADDS_UP:
            raise ValueError(f"{self.name}: KnownFraud works with {', '.join(sorted(_ADDS_UP))}, not {self.aggregate}")
        return self

    @property
    def looks_at_labels(self) -> bool:
        """Whether its value depends on what was known of the rows' labels."""
        return any(isinstance(condition, KnownFraud) for condition in (*self.where, self.share_of))

    @property
    def reach(self) -> timedelta:
        """How far back from ``t`` it looks."""
        return self.delay + self.window

    @property
    def is_integer(self) -> bool:
        """Whether its values are whole numbers; all others are floats."""
        return self.aggregate in ("count", "distinct")

    @property
    def when_empty(self) -> float | None:
        """Its value over a window without rows: nothing happened, so counts are 0; a mean of nothing is unknown."""
        return 0.0 if self.aggregate in _ZERO_WHEN_EMPTY else None


class FeatureTable(BaseModel):
    """Window features of one entity, one row per row of the source.

    Its columns are ``row_id``, ``key``, ``event_time``, ``created_time`` and the features in their order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="Asset path of the table, e.g. payments/card_activity.")
    source: str = Field(description="Table whose rows the windows see, partitioned by day of the event.")
    labels: str | None = Field(default=None, description="Labels of those rows, partitioned by day of becoming known.")
    key: str = Field(description="Column that names the entity.")
    row_id: str = Field(default="transaction_id", description="Column that names the row.")
    event_time: str = Field(default="event_time", description="Column that says when, with its time zone.")
    features: tuple[WindowFeature, ...] = Field(min_length=1)
    meaning: str = Field(min_length=1, description="What the table says, for a person.")
    owner: str

    @model_validator(mode="after")
    def _is_computable(self) -> Self:
        if len(set(self.feature_names)) != len(self.features):
            raise ValueError(f"{self.name}: two features have the same name")
        if self.labels is None and any(feature.looks_at_labels for feature in self.features):
            raise ValueError(f"{self.name}: a feature looks at KnownFraud, so the table must name its labels")
        return self

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The features' names, in the order of the table's columns."""
        return tuple(feature.name for feature in self.features)

    @property
    def reach(self) -> timedelta:
        """How far back the farthest window looks."""
        return max(feature.reach for feature in self.features)

    @property
    def columns_looked_at(self) -> tuple[str, ...]:
        """Columns of the source that features aggregate or compare, each once."""
        conditions = [condition for feature in self.features for condition in (*feature.where, feature.share_of)]
        compared = [condition.column for condition in conditions if isinstance(condition, Compare)]
        aggregated = [feature.column for feature in self.features if feature.column]
        return tuple(dict.fromkeys((*aggregated, *compared)))

    @property
    def columns_read(self) -> tuple[str, ...]:
        """Columns of the source that are needed, each once."""
        return tuple(dict.fromkeys((self.row_id, self.key, self.event_time, *self.columns_looked_at)))

    def feature(self, name: str) -> WindowFeature:
        """Return the feature of this name.

        Raises:
            KeyError: When the table has none.
        """
        return {feature.name: feature for feature in self.features}[name]
