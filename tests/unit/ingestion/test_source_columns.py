"""Column mapping: declared names win, known names are recognised, a missing column is named with its remedy."""

import pytest

from ml_platform.core.errors import ConfigurationError, SourceDataError
from ml_platform.ingestion.source_columns import check_mapping, resolve_columns

HANDBOOK = ["TRANSACTION_ID", "TX_DATETIME", "CUSTOMER_ID", "TERMINAL_ID", "TX_AMOUNT", "TX_FRAUD", "TX_TIME_DAYS"]


def test_the_handbook_s_names_are_recognised() -> None:
    ours = ("transaction_id", "event_time", "customer_id", "terminal_id", "amount", "label")
    assert list(resolve_columns(HANDBOOK, {}, ours, (), "x").values()) == HANDBOOK[:6]


def test_our_own_names_come_before_others() -> None:
    assert resolve_columns(["TX_AMOUNT", "amount"], {}, ("amount",), (), "x") == {"amount": "amount"}


def test_a_declared_name_wins() -> None:
    found = ["amount", "paid"]
    assert resolve_columns(found, {"amount": "paid"}, ("amount",), (), "x") == {"amount": "paid"}


def test_an_optional_column_may_be_absent_but_not_when_it_was_declared() -> None:
    assert resolve_columns(["label"], {}, ("label",), ("known_time",), "x") == {"label": "label"}
    with pytest.raises(SourceDataError, match=r"known_time \(mapped to KNOWN\)"):
        resolve_columns(["label"], {"known_time": "KNOWN"}, ("label",), ("known_time",), "x")


def test_missing_columns_are_named_with_those_found_and_the_remedy() -> None:
    with pytest.raises(SourceDataError) as caught:
        resolve_columns(["id", "amount"], {"transaction_id": "id"}, ("transaction_id", "event_time"), (), "pay.csv")
    message = str(caught.value)
    assert "pay.csv has no column for event_time" in message
    assert "Its columns are id, amount" in message
    assert (
        """ML_PLATFORM_SOURCE_COLUMNS='{"transaction_id": "id", "event_time": "<column of event_time>"}'""" in message
    )


def test_a_mapping_of_names_that_are_not_ours_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="amuont"):
        check_mapping({"amuont": "TX_AMOUNT"})
