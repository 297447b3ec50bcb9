"""What a source of payments promises, as data: columns, keys, times, and what to expect of its volume and freshness.

Everything that judges a row or a day reads it here: the rules of ``quality``, the names that ``source_columns``
recognises, the types of ``schema``, the expectations of ``expectations``. Where the rows come from is ``source``.
"""

from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["identifier", "instant", "amount", "label"]
"""What a column holds: an opaque name, a moment in UTC, money that is never negative, or 0 and 1."""


class Column(BaseModel):
    """One column of a declared table."""

    model_config = ConfigDict(frozen=True)

    name: str
    kind: Kind
    meaning: str
    aliases: tuple[str, ...] = ()
    """Other names it is recognised by, whatever the case of the letters."""
    optional: bool = False
    """Whether a source may lack the column, and a row its value: the landed column is null then."""


class Volume(BaseModel):
    """How many rows a day has, against the median of the days before it. Outside is a warning: the rows are landed."""

    model_config = ConfigDict(frozen=True)

    least_of_median: float = Field(default=0.2, ge=0, le=1)
    most_of_median: float = Field(default=5.0, ge=1)
    median_over_days: int = Field(default=28, gt=0)
    judged_from_days: int = Field(default=7, gt=0, description="With fewer days before it, a day is not judged.")


class TableDeclaration(BaseModel):
    """One table that a source fills, and what to expect of it."""

    model_config = ConfigDict(frozen=True)

    name: str
    quarantine: str
    """The table that holds what breaks a rule."""
    owner: str
    origin: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    """Of several good rows with the same key the first is landed."""
    event_time: str
    """The column that says on which day a row is filed."""
    not_before: tuple[tuple[str, str], ...] = ()
    """Pairs of columns, the first of which is never earlier than the second."""
    arrival_delay: timedelta = timedelta()
    """A day is complete this long after it is over."""
    clock_tolerance: timedelta = timedelta(hours=1)
    """How far a sender's clock may be ahead before a row counts as one from the future."""
    volume: Volume | None = None
    freshness: timedelta | None = None
    """The newest landed day ended no longer ago than this; None: the source makes no such promise."""
    max_quarantined_rate: float = Field(default=0.01, ge=0, le=1)

    def column(self, name: str) -> Column:
        """Return the column of this name."""
        return next(column for column in self.columns if column.name == name)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def optional_names(self) -> tuple[str, ...]:
        """Names of those that a source may lack."""
        return tuple(column.name for column in self.columns if column.optional)


_TRANSACTION_ID = Column(name="transaction_id", kind="identifier", meaning="The payment.")
_EVENT_TIME = Column(name="event_time", kind="instant", meaning="When the card was used.", aliases=("tx_datetime",))

TRANSACTIONS = TableDeclaration(
    name="payments/transactions",
    quarantine="payments/quarantine",
    owner="team:ml-platform",
    origin="The payment processor: one row for each use of a card.",
    columns=(
        _TRANSACTION_ID,
        _EVENT_TIME,
        Column(name="customer_id", kind="identifier", meaning="Who paid: the card."),
        Column(name="terminal_id", kind="identifier", meaning="Where: the card reader."),
        Column(
            name="amount", kind="amount", meaning="How much, in the currency of the source.", aliases=("tx_amount",)
        ),
        Column(
            name="tenant",
            kind="identifier",
            meaning="Whose customer, where several share the platform: models are judged on each alone.",
            aliases=("tenant_id", "client", "client_id"),
            optional=True,
        ),
    ),
    key=("transaction_id",),
    event_time="event_time",
    volume=Volume(),
)

FRAUD_LABELS = TableDeclaration(
    name="payments/fraud_labels",
    quarantine="payments/label_quarantine",
    owner="team:ml-platform",
    origin="Disputes and investigations: what was learnt about a payment, and when.",
    columns=(
        _TRANSACTION_ID,
        Column(name="label", kind="label", meaning="1 is fraud, 0 is genuine.", aliases=("tx_fraud",)),
        _EVENT_TIME,
        Column(name="known_time", kind="instant", meaning="When this became known."),
        Column(
            name="source",
            kind="identifier",
            meaning="Who says so: chargeback, analyst, customer … Without it all labels are one source's.",
            aliases=("label_source",),
            optional=True,
        ),
    ),
    key=("transaction_id", "known_time", "source"),
    event_time="known_time",
    not_before=(("known_time", "event_time"),),
)

TABLES = (TRANSACTIONS, FRAUD_LABELS)
