"""Bodies carry every float to the bit, in every content type, and a bad one is refused with a sentence."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ml_platform.modeling.codec import (
    NotAcceptableError,
    RequestError,
    UnsupportedContentTypeError,
    decode_matrix,
    decode_response,
    encode_csv,
    encode_instances,
    encode_response,
    negotiate,
)
from ml_platform.modeling.contract import CONTENT_TYPES, CSV, JSON, JSON_LINES
from ml_platform.modeling.schema import Signature

SIGNATURE = Signature(features=("b", "a"))
NUMBERS = st.floats(allow_infinity=False)
MATRICES = hnp.arrays("float64", st.tuples(st.integers(1, 20), st.just(2)), elements=NUMBERS)
SCORES = hnp.arrays("float64", st.integers(1, 20), elements=st.floats(0, 1))


def same_bits(left: np.ndarray, right: np.ndarray) -> bool:
    """Whether two arrays hold the same numbers, NaN and the sign of zero included."""
    return bool(
        np.array_equal(left, right, equal_nan=True) and (np.signbit(left) == np.signbit(right))[left == 0].all()
    )


@given(MATRICES)
def test_csv_carries_every_float_to_the_bit(matrix: np.ndarray) -> None:
    assert same_bits(decode_matrix(encode_csv(matrix), CSV, SIGNATURE), matrix)


@given(MATRICES)
def test_json_instances_carry_every_float_to_the_bit(matrix: np.ndarray) -> None:
    body = encode_instances([{"b": b, "a": a} for b, a in matrix.tolist()])
    assert same_bits(decode_matrix(body, JSON, SIGNATURE), matrix)


@given(MATRICES)
def test_json_lines_carry_every_float_to_the_bit(matrix: np.ndarray) -> None:
    rows = json.loads(encode_instances([{"a": a, "b": b} for b, a in matrix.tolist()]))["instances"]
    body = "\n".join(json.dumps(row) for row in rows).encode()
    assert same_bits(decode_matrix(body, JSON_LINES, SIGNATURE), matrix)


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
@given(scores=SCORES, threshold=st.floats(0, 1))
def test_responses_carry_every_score_to_the_bit(content_type: str, scores: np.ndarray, threshold: float) -> None:
    body, written = encode_response(scores, threshold, content_type)
    assert same_bits(np.array(decode_response(body, written)), scores)
    if content_type == JSON:
        flags = [prediction["flagged"] for prediction in json.loads(body)["predictions"]]
        assert flags == (scores >= threshold).tolist()


def test_a_row_of_one_missing_value_is_a_row() -> None:
    one = Signature(features=("a",))
    assert np.isnan(decode_matrix(encode_csv(np.array([[np.nan]])), CSV, one)).tolist() == [[True]]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"instances": [{"a": 2, "b": 1, "transaction_id": "t1"}]}', "application/json"),
        (b'{"instances": [[1, 2]]}', "application/json; charset=utf-8"),
        (b'\xef\xbb\xbf{"instances": [{"b": true, "a": 2e0}]}', "Application/JSON"),
        (b'\n{"a": 2, "b": 1}\r\n\n', "application/jsonlines"),
        (b"[1, 2]", "application/jsonlines"),
        (b"1,2", "text/csv"),
        (b'"1", 2.0\r\n\r\n', "text/csv; header=absent"),
    ],
)
def test_the_same_row_in_many_writings(body: bytes, content_type: str) -> None:
    assert decode_matrix(body, content_type, SIGNATURE).tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize(
    "value", [np.float64(1.5), np.float32(1.5), np.int64(1), 1, True, None, math.nan, np.float64("nan")]
)
def test_any_number_can_be_an_instance_value(value: object) -> None:
    [[decoded]] = decode_matrix(encode_instances([{"b": value}]), JSON, Signature(features=("b",)))
    assert math.isnan(decoded) if value is None or math.isnan(float(value)) else decoded == float(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["1", math.inf, -math.inf, [1], 10**400])
def test_what_is_no_finite_number_is_not_sent(value: object) -> None:
    with pytest.raises(RequestError, match="b must be"):
        encode_instances([{"b": value}])


@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        (b"", JSON, "not JSON"),
        (b"{", JSON, "not JSON"),
        (b"[]", JSON, "must be a JSON object"),
        (b'{"instances": {}}', JSON, "must be a JSON object"),
        (b'{"instances": []}', JSON, "no row"),
        (b'{"instances": [1]}', JSON, "row 1 must be an object"),
        (b'{"instances": [[1]]}', JSON, "row 1 has 1 values, the model reads 2"),
        (b'{"instances": [[1, 2], {"a": 1}]}', JSON, "row 2 lacks b; send null"),
        (b'{"instances": [{"a": "1", "b": 2}]}', JSON, "row 1: a must be a number or null, not str"),
        (b'{"instances": [{"a": Infinity, "b": 2}]}', JSON, "row 1: a must be finite"),
        (b'{"instances": [{"a": 1e999, "b": 2}]}', JSON, "row 1: a must be finite"),
        (b'{"instances": [{"a": 1' + b"0" * 400 + b', "b": 2}]}', JSON, "row 1: a must be finite"),
        (b'{"instances": [{"a": 1' + b"0" * 5000 + b', "b": 2}]}', JSON, "not JSON"),
        (b"[" * 100_000, JSON, "not JSON"),
        (b"\xff\xfe", JSON, "not UTF-8"),
        (b"", JSON_LINES, "no row"),
        (b"[1,2]\nx\n", JSON_LINES, "line 2 is not JSON"),
        (b"[1,2]\n[1]\n", JSON_LINES, "row 2 has 1 values"),
        (b"", CSV, "no row"),
        (b"\n\n", CSV, "no row"),
        (b"b,a\n1,2\n", CSV, "row 1: b must be a number or empty, not 'b' .send rows without a header"),
        (b"1,2\n1,two\n", CSV, "row 2: a must be a number or empty, not 'two'$"),
        (b"1,2\n1,2,3\n", CSV, "row 2 has 3 values, the model reads 2"),
        (b"1,inf\n", CSV, "row 1: a must be finite"),
        (b"1,1_0\n", CSV, "'_' is part of no number"),
        (b'1,"2\n', CSV, "not CSV"),
    ],
)
def test_a_bad_body_is_refused_with_a_sentence(body: bytes, content_type: str, reason: str) -> None:
    with pytest.raises(RequestError, match=reason) as caught:
        decode_matrix(body, content_type, SIGNATURE)
    assert caught.value.status == 400


@given(st.binary(max_size=200) | st.text(alphabet='[]{}":,0123456789.eE+-abnul \n').map(str.encode))
@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_no_body_does_more_harm_than_a_request_error(content_type: str, body: bytes) -> None:
    try:
        matrix = decode_matrix(body, content_type, SIGNATURE)
    except RequestError:
        return
    assert matrix.shape[1] == 2
    assert not np.isinf(matrix).any()


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/x-npy"])
def test_another_content_type_is_unsupported(content_type: str) -> None:
    with pytest.raises(UnsupportedContentTypeError, match="is not one of") as caught:
        decode_matrix(b"1,2", content_type, SIGNATURE)
    assert caught.value.status == 415
    with pytest.raises(UnsupportedContentTypeError):
        decode_response(b"1", content_type)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("text/*", CSV),
        ("text/csv", CSV),
        ("Text/CSV; charset=utf-8", CSV),
        ("application/jsonlines", JSON_LINES),
        ("text/csv;q=0.5, application/jsonlines", JSON_LINES),
        ("text/html, */*;q=0.1", JSON),
        ("*/*, application/json;q=0", JSON_LINES),
        ("application/json;q=x, text/csv", CSV),
    ],
)
def test_the_caller_gets_the_form_it_prefers(accept: str, chosen: str) -> None:
    assert negotiate(accept) == chosen


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "nonsense"])
def test_a_form_nobody_writes_is_not_acceptable(accept: str) -> None:
    with pytest.raises(NotAcceptableError) as caught:
        encode_response([0.5], 0.5, accept)
    assert caught.value.status == 406


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b"{}", JSON), (b"oops", JSON), (b"[1]", JSON), (b"oops", CSV), (b'{"score": null}', JSON_LINES), (b"\xff", CSV)],
)
def test_a_response_of_another_contract_is_refused(body: bytes, content_type: str) -> None:
    with pytest.raises(RequestError, match=r"not .* of this contract"):
        decode_response(body, content_type)
