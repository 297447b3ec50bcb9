"""Price tables of one's own: used as they are, refused when they are none, silent about what they do not hold."""

import json
from pathlib import Path
from typing import Any

import pytest

from ml_platform.core.errors import ConfigurationError
from ml_platform.resources.sagemaker_prices import INDICATIVE_PRICES, prices

TABLE: dict[str, Any] = {"region": "eu-central-1", "source": "AWS price list", "usd_per_hour": {"ml.m5.large": 0.2}}


def test_a_file_of_ones_own_takes_the_place_of_ours_and_names_its_day(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(
        "region: eu-central-1\nsource: AWS price list\nas_of: 2026-11-01\nusd_per_hour: {ml.m5.large: 0.2}\n"
    )
    table = prices(path)
    assert table.estimate("eu-central-1", "ml.m5.large", 2, 1800) == 0.2
    assert table.told_source == "AWS price list (2026-11-01)"
    # Ours knows this one: a file is not mixed with it.
    assert INDICATIVE_PRICES.estimate("us-east-1", "ml.c5.xlarge", 1, 3600) == 0.204
    assert table.estimate("eu-central-1", "ml.c5.xlarge", 1, 3600) is None
    assert table.estimate("us-east-1", "ml.m5.large", 1, 3600) is None


@pytest.mark.parametrize(
    "broken",
    [
        {**TABLE, "usd_per_hour": {"ml.m5.large": "cheap"}},
        {**TABLE, "usd_per_hour": {"ml.m5.large": -1}},
        {**TABLE, "usd_per_hour": {"ml.m5.large": float("nan")}},
        {**TABLE, "source": ""},
        {**TABLE, "eur_per_hour": {}},
        {"ml.m5.large": 0.2},
        [],
    ],
)
def test_what_is_no_price_table_is_refused_with_its_form(tmp_path: Path, broken: Any) -> None:
    path = tmp_path / "prices.json"
    path.write_text(json.dumps(broken))
    with pytest.raises(ConfigurationError, match=r"(?s)prices\.json cannot be used as a price table.* usd_per_hour"):
        prices(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        prices(tmp_path / "absent.yaml")
