"""Histories that the batch fills hold what the offline tables were computed from."""

from datetime import UTC, datetime, time, timedelta

import polars as pl

from feature_repo.feature_views import terminal_history
from ml_platform.aws.objects import ObjectStore
from ml_platform.core.settings import Settings
from ml_platform.features.labels.known import read_labels
from ml_platform.features.online.filling import HistoryView, landed_histories
from ml_platform.features.online.finishing import finish, microseconds, windows_of
from ml_platform.features.store import feature_store
from ml_platform.features.windows.on_polars.engine import window_features
from ml_platform.features.windows.payments import terminal_risk
from tests.unit.features import worlds

DAYS = 45


def test_histories_weigh_the_sources_of_labels_as_the_tables_do(settings: Settings, store: ObjectStore) -> None:
    payments = worlds.payments(days=DAYS, per_day=8)
    # Chargebacks say what is; whoever comes later says the opposite, and does not count.
    said = worlds.labels(payments).with_columns(source=pl.lit("chargeback"))
    later = pl.col("known_time") + timedelta(hours=1)
    labels = pl.concat(
        [said, said.with_columns(label=1 - pl.col("label"), known_time=later, source=pl.lit("customer"))]
    )
    worlds.land(store, payments, labels)
    first, end = worlds.FIRST_DAY, datetime.combine(worlds.FIRST_DAY + timedelta(days=DAYS), time(), UTC)
    asked = [
        {
            "transaction_id": f"asked{terminal}",
            "event_time": end,
            "terminal_id": terminal,
            "customer_id": "c",
            "amount": 1.0,
        }
        for terminal in payments["terminal_id"].unique().sort()
    ]
    rows = pl.concat([payments, pl.DataFrame(asked, schema=payments.schema)])
    offline = window_features(terminal_risk, rows, read_labels(store, first, end.date())).tail(len(asked))
    assert offline["terminal_fraud_rate_30d"].n_unique() > 2
    target = HistoryView.of(terminal_history)
    start = end - timedelta(microseconds=target.reach_us)
    histories = landed_histories(feature_store(settings).config, target, start, end)
    for row in offline.rows(named=True):
        served = finish(histories[row["terminal_id"]], microseconds(end), None, windows_of(terminal_risk))
        assert served == [row[name] for name in terminal_risk.feature_names]
