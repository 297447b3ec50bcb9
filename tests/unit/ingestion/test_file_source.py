"""File sources: Parquet and CSV, one file or many, here or in S3; damaged ones say what to do."""

import io
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import boto3
import polars as pl
import pytest

from ml_platform.aws.objects import ObjectStore
from ml_platform.core.errors import ConfigurationError, MLPlatformError, SourceDataError
from ml_platform.core.settings import Settings
from ml_platform.ingestion.declaration import FRAUD_LABELS, TRANSACTIONS
from ml_platform.ingestion.quality import split_rows
from ml_platform.ingestion.source import FileSource, SimulatorSource, open_source

HANDBOOK = Path(__file__).parents[4] / "shared" / "data" / "handbook_transactions.parquet"
FIRST, LAST = date(2018, 4, 1), date(2018, 4, 3)


def handbook_frame(days: int = 3, per_day: int = 4) -> pl.DataFrame:
    """Rows in the schema of the Handbook's Parquet file; the last of each day is fraud."""
    count = days * per_day
    start = datetime(2018, 4, 1)  # noqa: DTZ001 - the Handbook's times are naive
    return pl.DataFrame(
        {
            "TRANSACTION_ID": pl.Series(range(count), dtype=pl.Int32),
            "TX_DATETIME": pl.Series(
                [start + timedelta(days=row // per_day, hours=row % per_day) for row in range(count)],
                dtype=pl.Datetime("ms"),
            ),
            "CUSTOMER_ID": pl.Series([596 + row for row in range(count)], dtype=pl.Int16),
            "TERMINAL_ID": pl.Series([3156] * count, dtype=pl.Int16),
            "TX_AMOUNT": [57.16 + row for row in range(count)],
            "TX_TIME_SECONDS": pl.Series([0] * count, dtype=pl.Int32),
            "TX_TIME_DAYS": pl.Series([0] * count, dtype=pl.Int16),
            "TX_FRAUD": pl.Series([int(row % per_day == per_day - 1) for row in range(count)], dtype=pl.Int8),
            "TX_FRAUD_SCENARIO": pl.Series([0] * count, dtype=pl.Int8),
        }
    )


@pytest.fixture
def handbook(tmp_path: Path) -> Path:
    path = tmp_path / "handbook.parquet"
    handbook_frame().write_parquet(path)
    return path


def write_csv(path: Path, text: str) -> FileSource:
    path.write_text(text)
    return FileSource(str(path))


def test_the_handbook_s_file_needs_no_mapping(handbook: Path) -> None:
    source = FileSource(str(handbook))
    assert source.days() == (FIRST, LAST)
    split = split_rows(TRANSACTIONS, source.transactions(date(2018, 4, 2), LAST))
    assert split.quarantined.is_empty()
    assert split.good["transaction_id"].to_list() == [str(number) for number in range(4, 12)]
    assert split.good.row(0, named=True) == {
        "transaction_id": "4",
        "event_time": datetime(2018, 4, 2, tzinfo=UTC),
        "customer_id": "600",
        "terminal_id": "3156",
        "amount": 61.16,
        "tenant": None,
        "partition_day": date(2018, 4, 2),
    }


def test_files_of_which_only_some_name_a_tenant_are_read_together(tmp_path: Path) -> None:
    head, row = "transaction_id,event_time,customer_id,terminal_id,amount", "2026-01-05 09:00:00,c,x,1.5"
    (tmp_path / "a.csv").write_text(f"{head}\n1,{row}\n")
    (tmp_path / "b.csv").write_text(f"{head},client\n2,{row},north\n")
    day = date(2026, 1, 5)
    landed = split_rows(TRANSACTIONS, FileSource(str(tmp_path)).transactions(day, day)).good.sort("transaction_id")
    assert landed["tenant"].to_list() == [None, "north"]


def test_labels_without_a_known_time_become_known_exactly_the_delay_after_the_event(handbook: Path) -> None:
    labels = split_rows(FRAUD_LABELS, FileSource(str(handbook)).labels_known(date(2018, 4, 9), date(2018, 4, 9))).good
    assert labels["transaction_id"].to_list() == ["4", "5", "6", "7"]
    assert labels["label"].to_list() == [0, 0, 0, 1]
    assert (labels["known_time"] - labels["event_time"] == timedelta(days=7)).all()
    without_delay = FileSource(str(handbook), label_delay_days=0).labels_known(FIRST, FIRST)
    assert without_delay["transaction_id"].to_list() == [0, 1, 2, 3]


def test_labels_with_a_known_time_belong_to_the_day_of_that_and_unlabelled_rows_to_none(tmp_path: Path) -> None:
    source = write_csv(
        tmp_path / "pay.csv",
        "transaction_id,event_time,label,known_time\n"
        "a,2026-01-05 10:00:00,0,2026-01-12 10:00:00\n"
        "b,2026-01-05 11:00:00,,\n"
        "c,2026-01-05 12:00:00,1,2026-01-09 12:00:00\n",
    )
    labels = split_rows(FRAUD_LABELS, source.labels_known(date(2026, 1, 9), date(2026, 1, 9)))
    assert labels.good.select("transaction_id", "label").rows() == [("c", 1)]
    assert labels.quarantined.is_empty()


def test_csv_with_a_mapping_reads_like_parquet(handbook: Path, tmp_path: Path) -> None:
    names = {
        "transaction_id": "id",
        "event_time": "when",
        "customer_id": "card",
        "terminal_id": "shop",
        "amount": "eur",
    }
    renamed = handbook_frame().select(
        id="TRANSACTION_ID", when="TX_DATETIME", card="CUSTOMER_ID", shop="TERMINAL_ID", eur="TX_AMOUNT"
    )
    renamed.write_csv(tmp_path / "pay.csv")
    from_csv = FileSource(str(tmp_path / "pay.csv"), names).transactions(FIRST, LAST)
    from_parquet = FileSource(str(handbook)).transactions(FIRST, LAST)
    assert split_rows(TRANSACTIONS, from_csv).good.equals(split_rows(TRANSACTIONS, from_parquet).good)


def test_zoned_times_are_filed_under_their_utc_day(tmp_path: Path) -> None:
    zoned = handbook_frame(days=1).with_columns(
        pl.col("TX_DATETIME").dt.replace_time_zone("Asia/Tokyo")  # 00:00 there is 15:00 UTC of the day before
    )
    zoned.write_parquet(tmp_path / "zoned.parquet")
    source = FileSource(str(tmp_path / "zoned.parquet"))
    assert source.days() == (date(2018, 3, 31), date(2018, 3, 31))
    assert len(source.transactions(date(2018, 3, 31), date(2018, 3, 31))) == 4
    assert source.transactions(FIRST, FIRST).is_empty()


def test_a_row_without_a_readable_time_is_filed_once_under_the_day_of_the_row_before_it(tmp_path: Path) -> None:
    source = write_csv(
        tmp_path / "pay.csv",
        "transaction_id,event_time,customer_id,terminal_id,amount\n"
        "a,2026-01-05 10:00:00,c,x,1\nb,soon,c,x,1\nc,2026-01-06T10:00:00Z,c,x,1\nd,,c,x,1\n",
    )
    for day, expected in ((date(2026, 1, 5), ["a", "b"]), (date(2026, 1, 6), ["c", "d"])):
        assert source.transactions(day, day)["transaction_id"].to_list() == expected


def test_a_row_with_a_stray_comma_is_quarantined_and_a_short_one_lacks_what_it_lacks(tmp_path: Path) -> None:
    source = write_csv(
        tmp_path / "pay.csv",
        "transaction_id,event_time,customer_id,terminal_id,amount\n"
        "a,2026-01-05 10:00:00,c,x,1\nb,2026-01-05 10:00:00,c,x,1,50\nc,2026-01-05 10:00:00,c,x\n",
    )
    split = split_rows(TRANSACTIONS, source.transactions(date(2026, 1, 5), date(2026, 1, 5)))
    assert split.good["transaction_id"].to_list() == ["a"]
    assert split.quarantined["reason"].to_list() == ["more fields than columns", "amount missing"]


def test_null_times_of_parquet_are_filed_the_same_way(tmp_path: Path) -> None:
    frame = handbook_frame(days=2, per_day=2).with_columns(
        pl.when(pl.col("TRANSACTION_ID") == 2).then(None).otherwise("TX_DATETIME").alias("TX_DATETIME")
    )
    frame.write_parquet(tmp_path / "holes.parquet")
    split = split_rows(TRANSACTIONS, FileSource(str(tmp_path / "holes.parquet")).transactions(FIRST, FIRST))
    assert split.reasons() == {"event_time missing": 1}


@pytest.mark.parametrize("address", ["{}", "{}/*.parquet", "{}/2018-0?-*.parquet", "{}/**/*.parquet"])
def test_a_directory_or_pattern_is_all_of_its_files_in_the_order_of_their_names(tmp_path: Path, address: str) -> None:
    rows = handbook_frame()
    for day in (3, 1, 2):
        part = rows.filter(pl.col("TX_DATETIME").dt.day() == day)
        # One file with wider integers than the others, as exports of several years have them.
        part.cast({"CUSTOMER_ID": pl.Int64} if day == 2 else {}).write_parquet(tmp_path / f"2018-04-0{day}.parquet")
    (tmp_path / "README.md").write_text("not data")
    (tmp_path / "_SUCCESS.csv").write_text("")
    raw = FileSource(address.format(tmp_path)).transactions(FIRST, LAST)
    assert raw["transaction_id"].to_list() == list(range(12))


def test_compressed_csv_is_read(tmp_path: Path) -> None:
    import gzip

    with gzip.open(tmp_path / "pay.csv.gz", "wb") as file:
        file.write(handbook_frame().write_csv().encode())
    assert len(FileSource(str(tmp_path / "pay.csv.gz")).transactions(FIRST, LAST)) == 12


def test_files_in_s3_are_read_like_local_ones(store: ObjectStore, settings: Settings) -> None:
    for day in (1, 2):
        buffer = io.BytesIO()
        handbook_frame().filter(pl.col("TX_DATETIME").dt.day() == day).write_parquet(buffer)
        store.put(f"exports/2018-04-0{day}.parquet", buffer.getvalue())
    store.put("exports-of-others/2018-04-03.parquet", b"not ours")
    for address, expected in (("exports", 8), ("exports/", 8), ("exports/*02.parquet", 4)):
        source = open_source(settings.model_copy(update={"source": store.uri(address)}))
        assert len(source.transactions(FIRST, LAST)) == expected
    before = source.version()
    store.put("exports/2018-04-02.parquet", b"rewritten")
    assert source.version() != before


def test_the_version_changes_when_a_file_does(handbook: Path) -> None:
    source = FileSource(str(handbook))
    before = source.version()
    assert FileSource(str(handbook)).version() == before
    handbook_frame(days=4).write_parquet(handbook)
    assert source.version() != before


def test_the_days_of_a_file_follow_its_content(handbook: Path) -> None:
    source = FileSource(str(handbook))
    assert source.days() == source.days() == (FIRST, LAST)
    handbook_frame(days=4).write_parquet(handbook)
    assert source.days() == (FIRST, date(2018, 4, 4))


@pytest.mark.skipif(not HANDBOOK.exists(), reason="shared/data is not beside the repository")
def test_the_handbook_itself_is_all_good() -> None:
    source = FileSource(str(HANDBOOK))
    assert source.days() == (date(2018, 4, 1), date(2018, 9, 30))
    split = split_rows(TRANSACTIONS, source.transactions(date(2018, 7, 25), date(2018, 7, 31)))
    assert (len(split.good), len(split.quarantined)) == (67_240, 0)
    labels = split_rows(FRAUD_LABELS, source.labels_known(date(2018, 8, 1), date(2018, 8, 7)))
    assert (len(labels.good), labels.good["label"].sum()) == (67_240, 598)


def bad_sources(folder: Path) -> dict[str, tuple[str, str]]:
    """Address and expected words by kind of damage."""
    (folder / "both").mkdir()
    (folder / "nothing").mkdir()
    handbook_frame().write_parquet(folder / "both" / "a.parquet")
    handbook_frame().write_csv(folder / "both" / "a.csv")
    handbook_frame().clear().write_parquet(folder / "no_rows.parquet")
    handbook_frame().drop("TX_AMOUNT").write_parquet(folder / "no_amount.parquet")
    (folder / "header.csv").write_text(handbook_frame().clear().write_csv())
    (folder / "zero.csv").write_bytes(b"")
    (folder / "zero.parquet").write_bytes(b"")
    (folder / "cut.parquet").write_bytes((folder / "both" / "a.parquet").read_bytes()[:300])
    (folder / "table.xlsx").write_bytes(b"PK")
    (folder / "open_quote.csv").write_text(handbook_frame().write_csv() + '12,"2018-04-03\n')
    handbook_frame().with_columns(TX_DATETIME=pl.lit("soon")).write_csv(folder / "timeless.csv")
    return {
        "missing": ("missing.parquet", "No Parquet or CSV file at"),
        "missing pattern": ("missing/*.csv", "No Parquet or CSV file at"),
        "empty directory": ("nothing", "No Parquet or CSV file at"),
        "both formats": ("both", "both Parquet and CSV"),
        "no rows": ("no_rows.parquet", "has no rows"),
        "header only": ("header.csv", "has no rows"),
        "zero bytes of CSV": ("zero.csv", "cannot be read"),
        "zero bytes of Parquet": ("zero.parquet", "cannot be read"),
        "cut short": ("cut.parquet", "cannot be read"),
        "a quote left open": ("open_quote.csv", "cannot be read"),
        "another format": ("table.xlsx", "neither Parquet nor CSV"),
        "no readable time": ("timeless.csv", "can be read as a time; the first are 'soon'"),
        "no amount": ("no_amount.parquet", "no column for amount. Its columns are TRANSACTION_ID"),
    }


def test_a_source_that_cannot_be_used_says_why_and_what_to_do(tmp_path: Path) -> None:
    for damage, (name, words) in bad_sources(tmp_path).items():
        with pytest.raises(SourceDataError) as caught:
            FileSource(str(tmp_path / name)).transactions(FIRST, LAST)
        assert words in str(caught.value), damage
        assert str(tmp_path) in str(caught.value), damage


def test_days_of_a_source_without_readable_times_are_refused(tmp_path: Path) -> None:
    bad_sources(tmp_path)
    with pytest.raises(SourceDataError, match="can be read as a time"):
        FileSource(str(tmp_path / "timeless.csv")).days()


def test_a_source_without_labels_says_so(tmp_path: Path) -> None:
    handbook_frame().drop("TX_FRAUD").write_parquet(tmp_path / "unlabelled.parquet")
    source = FileSource(str(tmp_path / "unlabelled.parquet"))
    assert len(source.transactions(FIRST, LAST)) == 12
    with pytest.raises(SourceDataError, match="no column for label"):
        source.labels_known(FIRST, LAST)


def test_a_bucket_that_is_not_there_is_a_clear_failure(settings: Settings) -> None:
    source = open_source(settings.model_copy(update={"source": "s3://nobody-has-this-bucket/payments/"}))
    with pytest.raises(MLPlatformError, match="nobody-has-this-bucket"):
        source.transactions(FIRST, LAST)


def test_s3_without_credentials_says_which_to_set(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    with pytest.raises(SourceDataError, match="AWS_ACCESS_KEY_ID"):
        FileSource("s3://somewhere/payments/").transactions(FIRST, LAST)


def test_settings_choose_the_source(handbook: Path) -> None:
    simulated = open_source(Settings(simulator_customers=5, simulator_terminals=9, simulator_shift_day=4))
    assert isinstance(simulated, SimulatorSource)
    assert simulated.days() is None
    assert (simulated.parameters.customers, simulated.parameters.shift_day) == (5, 4)
    assert simulated.version() != open_source(Settings()).version()
    files = open_source(Settings(source=str(handbook), source_label_delay_days=3))
    assert isinstance(files, FileSource)
    assert files.label_delay_days == 3


def test_a_mapping_of_unknown_names_is_refused_before_anything_is_read() -> None:
    with pytest.raises(ConfigurationError, match="amuont"):
        open_source(Settings(source="missing.csv", source_columns={"amuont": "x"}))


def test_the_simulator_is_a_source_of_good_rows() -> None:
    source = open_source(Settings(simulator_customers=50, simulator_terminals=500))
    days = (date(2026, 1, 10), date(2026, 1, 12))
    assert split_rows(TRANSACTIONS, source.transactions(*days)).quarantined.is_empty()
    labels = split_rows(FRAUD_LABELS, source.labels_known(date(2026, 1, 12), date(2026, 1, 20)))
    assert len(labels.good) > 100
    assert labels.quarantined.is_empty()
