"""The catalogue's tables are shown whole in the UI, and lack no feature."""

from datetime import UTC, datetime

from ml_platform.core.svg import MAX_MARKDOWN
from ml_platform.features.catalogue.catalogue import CataloguedFeature, Figures
from ml_platform.features.catalogue.entries import all_entries
from ml_platform.features.catalogue.shown import markdown_tables

FIGURES = Figures(
    rows=4, fresh_until=datetime(2026, 1, 5, 12, tzinfo=UTC), null_rate=0.125, mean=1.0, edges=(0.0, 1.0), counts=(4,)
)


def catalogue(*models: str, **changed: str) -> list[CataloguedFeature]:
    return [
        CataloguedFeature(**(entry.model_dump() | changed), models=models, figures=FIGURES if entry.table else None)
        for entry in all_entries()
    ]


def test_every_feature_is_in_a_table_with_what_people_ask_for() -> None:
    shown = markdown_tables(catalogue("card_fraud"))
    assert list(shown) == [
        "tables",
        "features_of_the_request",
        "features_of_card_activity",
        "features_of_terminal_risk",
    ]
    assert (
        "| card_tx_count_7d | Payments with the card in 7 days, this one included. | payments | 12.50% | card_fraud |"
        in shown["features_of_card_activity"].splitlines()
    )
    made_of = "payments/transactions.customer_id, payments/transactions.event_time, payments/transactions.amount"
    assert (
        f"| payments/card_activity | team:ml-platform | 2026-01-05 12:00 | {made_of} |" in shown["tables"].splitlines()
    )


def test_a_table_that_the_ui_would_hide_comes_in_parts() -> None:
    features = catalogue(*(f"a_model_with_a_long_name_{number}" for number in range(8)))
    shown = markdown_tables(features)
    assert all(len(table) <= MAX_MARKDOWN for table in shown.values())
    assert {"features_of_terminal_risk", "features_of_terminal_risk_2"} <= set(shown)
    lines = [line for table in shown.values() for line in table.splitlines()]
    assert all(sum(line.startswith(f"| {entry.name} |") for line in lines) == 1 for entry in features)
    assert all(table.splitlines()[1].startswith("|---") for table in shown.values())


def test_a_bar_in_a_text_does_not_break_its_row() -> None:
    assert "| either \\| or |" in markdown_tables(catalogue(unit="either | or"))["features_of_the_request"]
