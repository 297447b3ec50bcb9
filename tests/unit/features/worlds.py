"""Small generated worlds of payments: many ties, and labels that come late, are corrected, or never come."""

import random
from datetime import UTC, date, datetime, timedelta

import polars as pl

from ml_platform.aws.objects import ObjectStore
from ml_platform.aws.tables import DailyTable
from ml_platform.features.tables import FRAUD_LABELS, TRANSACTIONS

FIRST_DAY = date(2026, 1, 5)
_START = datetime(2026, 1, 5, tzinfo=UTC)
_INSTANT = pl.Datetime("us", "UTC")


def payments(days: int, per_day: int, seed: int = 7, cards: int = 12, terminals: int = 8) -> pl.DataFrame:
    """Return payments on whole quarters of an hour, midnights included, so that many share their instant."""
    rng = random.Random(seed)  # noqa: S311  # a world, not a secret
    times = sorted(
        _START + timedelta(days=rng.randrange(days), minutes=15 * rng.randrange(96)) for _ in range(days * per_day)
    )
    rows = [
        (
            f"t{number:05d}",
            time,
            f"c{rng.randrange(cards)}",
            f"m{rng.randrange(terminals)}",
            rng.choice([9.99, 0.1, 57.16 * 5, 220.0]),
        )
        for number, time in enumerate(times)
    ]
    schema = {"transaction_id": pl.String, "event_time": _INSTANT, "customer_id": pl.String, "terminal_id": pl.String}
    return pl.DataFrame(rows, schema=schema | {"amount": pl.Float64}, orient="row")


def labels(transactions: pl.DataFrame, seed: int = 8, fraud_rate: float = 0.2) -> pl.DataFrame:
    """Return presumptions after a week, frauds reported before or after that, some of them withdrawn later."""
    rng = random.Random(seed)  # noqa: S311  # a world, not a secret
    rows = []
    for transaction, event in transactions.select("transaction_id", "event_time").iter_rows():
        rows.append((transaction, 0, event, event + timedelta(days=7)))
        if rng.random() < fraud_rate:
            reported = event + timedelta(hours=rng.choice([0, 12, 7 * 24, 7 * 24 + 1, 9 * 24, 20 * 24]))
            rows.append((transaction, 1, event, reported))
            if rng.random() < 0.3:
                rows.append((transaction, 0, event, reported + timedelta(hours=rng.choice([0, 6, 8 * 24]))))
    rng.shuffle(rows)
    schema = {"transaction_id": pl.String, "label": pl.Int8, "event_time": _INSTANT, "known_time": _INSTANT}
    return pl.DataFrame(rows, schema=schema, orient="row")


def land(store: ObjectStore, transactions: pl.DataFrame, known: pl.DataFrame) -> None:
    """Write payments and labels as ingestion does: by the day they happened, and by the day they became known."""
    for table, frame, time in ((TRANSACTIONS, transactions, "event_time"), (FRAUD_LABELS, known, "known_time")):
        parts = frame.with_columns(_day=pl.col(time).dt.date()).partition_by("_day", as_dict=True, include_key=False)
        DailyTable(store, table).write_days((day, part) for (day,), part in parts.items())
