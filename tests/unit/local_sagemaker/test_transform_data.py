"""Filters, joins and batches of transform jobs, record by record."""

import pytest

from ml_platform.local_sagemaker.transform_data import (
    Rules,
    TransformDataError,
    answer_lines,
    batches,
    check_path,
    filter_input,
    join_output,
    select,
    select_columns,
)

ROW = ["id", "a", "b", "c"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$", ROW),
        ("$[0]", ["id"]),
        ("$[-1]", ["c"]),
        ("$[1:]", ["a", "b", "c"]),
        ("$[0:3]", ["id", "a", "b"]),
        ("$[:-1]", ["id", "a", "b"]),
        ("$[0,-1]", ["id", "c"]),
        ("$[2, 1]", ["b", "a"]),
        ("$[0,2:]", ["id", "b", "c"]),
        ("$[*]", ROW),
    ],
)
def test_columns_are_selected_by_number_list_and_range(path: str, expected: list[str]) -> None:
    assert select_columns(path, ROW) == expected


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(TransformDataError, match=r"'\$\[9\]' names a column or element 9 that a row of 4 lacks"):
        select_columns("$[9]", ROW)


@pytest.mark.parametrize("path", ["$[a]", "$[1", "[0]", "$..x", "$[0:1:2]", "$[0", "$[?(@.a)]", ""])
def test_other_paths_are_refused(path: str) -> None:
    for is_csv in (True, False):
        with pytest.raises(TransformDataError, match="is not supported"):
            check_path(path, is_csv=is_csv)


@pytest.mark.parametrize("path", ["$.a", "$['a','b']", "$[0][1]"])
def test_columns_have_no_names(path: str) -> None:
    check_path(path, is_csv=False)
    with pytest.raises(TransformDataError, match="not supported for CSV"):
        check_path(path, is_csv=True)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$", {"a": {"b": [1, 2]}, "c d": 3}),
        ("$.a.b", [1, 2]),
        ("$['c d']", 3),
        ("$.a['b'][1]", 2),
        ("$.a.b[-1]", 2),
        ("$.a.b[0:1]", [1]),
        ("$.a.['b']", [1, 2]),
        ("$['c d','a']", {"c d": 3, "a": {"b": [1, 2]}}),
        ("$['a'].*", [[1, 2]]),
        ("$.a.*[0]", [1]),
        ("$.a.b[*]", [1, 2]),
    ],
)
def test_members_are_selected_by_name_number_and_wildcard(path: str, expected: object) -> None:
    check_path(path, is_csv=False)
    assert select(path, {"a": {"b": [1, 2]}, "c d": 3}) == expected


@pytest.mark.parametrize("path", ["$.a[0]", "$.a.*", "$['a','z']"])
def test_what_a_record_lacks_is_no_empty_answer(path: str) -> None:
    with pytest.raises(TransformDataError, match="The filter"):
        select(path, {"a": 1})


def test_a_member_that_is_not_there_is_named() -> None:
    with pytest.raises(TransformDataError, match="names 'z'"):
        select("$.z", {"a": 1})


def test_a_join_keeps_quoted_columns() -> None:
    rules = Rules(input_filter="$[1:]", output_filter="$[0,-1]", join_input=True)
    record = '"x, ""y""",1,2'
    assert filter_input(rules, record, is_csv=True) == "1,2"
    assert join_output(rules, record, "0.5,yes", is_csv=True) == '"x, ""y""",yes'


def test_json_records_are_joined_under_sagemakers_members() -> None:
    rules = Rules(join_input=True)
    assert join_output(rules, '{"a": 1}', "2", is_csv=False) == '{"a": 1, "SageMakerOutput": 2}'
    assert join_output(rules, "[1]", "2", is_csv=False) == '{"SageMakerInput": [1], "SageMakerOutput": 2}'


def test_an_identifier_goes_around_the_model_and_comes_back_with_its_answer() -> None:
    rules = Rules(input_filter="$.features", output_filter="$['id','SageMakerOutput']", join_input=True)
    record = '{"id": 7, "features": {"values": [1]}, "more": true}'
    assert filter_input(rules, record, is_csv=False) == '{"values": [1]}'
    assert join_output(rules, record, '{"sum": 1}', is_csv=False) == '{"id": 7, "SageMakerOutput": {"sum": 1}}'


def test_more_or_fewer_answers_than_records_are_refused() -> None:
    assert answer_lines(b"1\n\n2\n", expected=2) == ["1", "2"]
    with pytest.raises(TransformDataError, match="answered 1 records to 2"):
        answer_lines(b"1\n", expected=2)


def test_batches_fill_up_to_the_payload_and_no_further() -> None:
    assert list(batches(["aa", "bb", "cc"], max_bytes=6, single=False)) == [["aa", "bb"], ["cc"]]
    assert list(batches(["aa", "bb"], max_bytes=6, single=True)) == [["aa"], ["bb"]]
    assert list(batches([], max_bytes=6, single=False)) == []
    with pytest.raises(TransformDataError, match="larger than MaxPayloadInMB"):
        list(batches(["é" * 3], max_bytes=6, single=False))
