"""Captured lines become rows to the last bit, and a line that does not is counted with its reason."""

import base64
import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_platform.modeling import codec
from ml_platform.modeling.contract import CSV, JSON
from ml_platform.monitoring.capture import answers_to_one_payment, parse
from tests.unit.monitoring.builders import FEATURES, SIGNATURE

AWKWARD = (0.1 + 0.2, 1.0, 1e-9)


def a_record(**overrides: Any) -> dict[str, Any]:
    """One captured JSON exchange, in SageMaker's layout."""
    request = codec.encode_instances([dict(zip(FEATURES, AWKWARD, strict=True))]).decode()
    response, content_type = codec.encode_response([1 / 3], 0.5, JSON)
    record = {
        "captureData": {
            "endpointInput": {"observedContentType": JSON, "mode": "INPUT", "data": request, "encoding": "JSON"},
            "endpointOutput": {
                "observedContentType": content_type,
                "mode": "OUTPUT",
                "data": response.decode(),
                "encoding": "JSON",
            },
        },
        "eventMetadata": {"eventId": "e-1", "inferenceId": "t-1", "inferenceTime": "2022-02-14T17:25:49Z"},
        "eventVersion": "0",
    }
    return record | overrides


def metadata(**overrides: Any) -> dict[str, Any]:
    return {"eventMetadata": a_record()["eventMetadata"] | overrides}


def with_side(side: str, **overrides: Any) -> dict[str, Any]:
    record = a_record()
    record["captureData"][side] |= overrides
    return record


def test_a_captured_request_is_read_to_the_last_bit() -> None:
    batch = parse([json.dumps(a_record())], SIGNATURE, "primary")
    (row,) = batch.frame.to_dict("records")
    assert tuple(row[name] for name in FEATURES) == AWKWARD
    assert row["score"] == 1 / 3
    assert (row["event_id"], row["inference_id"], row["variant"]) == ("e-1", "t-1", "primary")
    assert row["inference_time"] == datetime(2022, 2, 14, 17, 25, 49, tzinfo=UTC)
    assert batch.rejected == ()


def test_base64_and_csv_are_read_like_json() -> None:
    data = base64.b64encode(b"12.5,0,\n").decode()
    record = with_side("endpointInput", observedContentType=CSV, data=data, encoding="BASE64")
    record["captureData"]["endpointOutput"] |= {
        "observedContentType": "text/csv; charset=utf-8",
        "data": "0.25\n",
        "encoding": "CSV",
    }
    (row,) = parse([json.dumps(record)], SIGNATURE).frame.to_dict("records")
    assert (row["amount"], row["is_weekend"], row["score"]) == (12.5, 0, 0.25)
    assert math.isnan(row["terminal_fraud_rate_7d"])


def test_each_row_of_a_request_is_a_row() -> None:
    request = codec.encode_instances([dict.fromkeys(FEATURES, value) for value in (1.0, 2.0)]).decode()
    record = with_side("endpointInput", data=request)
    record["captureData"]["endpointOutput"]["data"] = codec.encode_response([0.1, 0.2], 0.5, JSON)[0].decode()
    frame = parse([json.dumps(record)], SIGNATURE).frame
    assert frame["amount"].tolist() == [1, 2]
    assert frame["score"].tolist() == [0.1, 0.2]
    assert frame["event_id"].tolist() == ["e-1", "e-1"]


def test_a_request_without_an_inference_id_has_none() -> None:
    record = a_record()
    del record["eventMetadata"]["inferenceId"]
    assert parse([json.dumps(record)], SIGNATURE).frame["inference_id"].tolist() == [""]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("{", "JSONDecodeError: Expecting property name"),
        ("[1]", "AttributeError: 'list' object has no attribute"),
        ("null", "AttributeError: 'NoneType'"),
        (a_record(eventVersion="1"), "ValueError: eventVersion '1' is not '0'"),
        (a_record(captureData={}), "KeyError: the record lacks 'endpointInput'"),
        (a_record(captureData=3), "TypeError"),
        (a_record(eventMetadata={"eventId": "e", "inferenceId": "t"}), "KeyError: the record lacks 'inferenceTime'"),
        (a_record(**metadata(inferenceTime="yesterday")), "ValueError: Invalid isoformat string: 'yesterday'"),
        (a_record(**metadata(inferenceTime=None)), "TypeError"),
        (with_side("endpointInput", data="1,2"), "RequestError: the body is not JSON"),
        (with_side("endpointInput", observedContentType="image/png"), "UnsupportedContentTypeError"),
        (with_side("endpointInput", data="!", encoding="BASE64"), "Error: "),
        (with_side("endpointInput", data='{"instances": [{"amount": 1}]}'), "RequestError: row 1 lacks"),
        (with_side("endpointOutput", data='{"predictions": []}'), "ValueError: 1 rows asked, 0 scores answered"),
        (a_record(**metadata(inferenceTime="9999-12-31T23:59:59Z")), "ValueError: inferenceTime '9999-12-31"),
        (a_record(**metadata(inferenceTime="0001-01-01T00:00:00+23:00")), "OverflowError"),
        (with_side("endpointOutput", data='{"predictions": [{"score": 1' + "0" * 400 + "}]}"), "OverflowError"),
        ("[" * 100_000, "RecursionError"),
        (with_side("endpointOutput", data="oops"), "RequestError: the response is not application/json"),
    ],
)
def test_a_line_that_cannot_be_read_is_counted_with_its_reason(record: str | dict[str, Any], reason: str) -> None:
    bad = record if isinstance(record, str) else json.dumps(record)
    batch = parse([json.dumps(a_record()), bad, json.dumps(a_record())], SIGNATURE)
    assert len(batch.frame) == 2
    (found,) = batch.rejected
    assert found.startswith(reason)


def test_reasons_are_short_however_long_the_line_is() -> None:
    batch = parse([json.dumps(with_side("endpointOutput", data="x" * 100_000))], SIGNATURE)
    assert len(batch.rejected[0]) < 250


def test_every_line_is_a_row_a_reject_or_a_probe() -> None:
    lines = (
        [json.dumps(a_record())] * 3
        + ["{"] * 2
        + [json.dumps(a_record(**metadata(inferenceId="steady-1")))]
        + ["", " "]
    )
    batch = parse(lines, SIGNATURE)
    assert (len(batch.frame), len(batch.rejected), batch.synthetic) == (3, 2, 1)


def test_no_traffic_is_an_empty_frame_with_the_columns_of_traffic() -> None:
    full, empty = parse([json.dumps(a_record())], SIGNATURE).frame, parse([], SIGNATURE).frame
    assert full.dtypes.to_dict() == empty.dtypes.to_dict()
    assert len(empty) == 0


def test_a_probe_of_an_earlier_model_is_still_a_probe() -> None:
    record = with_side("endpointInput", data='{"instances": [{"another_feature": 1}]}') | metadata(
        inferenceId="steady-17"
    )
    batch = parse([json.dumps(record)], SIGNATURE)
    assert (batch.synthetic, batch.rejected) == (1, ())


@pytest.mark.parametrize("payment", ["steady-eddie", "my-steady-1", "steady-1-again"])
def test_a_payment_that_is_named_like_a_probe_is_a_payment(payment: str) -> None:
    assert len(parse([json.dumps(a_record(**metadata(inferenceId=payment)))], SIGNATURE).frame) == 1


def test_a_reject_keeps_its_time_where_it_has_one() -> None:
    lines = [json.dumps(with_side("endpointOutput", data="oops")), "{"]
    first, second = parse(lines, SIGNATURE).rejects
    assert first.inference_time == datetime(2022, 2, 14, 17, 25, 49, tzinfo=UTC)
    assert second.inference_time is None


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00", "1970-01-01T00:00:00"])
def test_a_time_that_cannot_be_right_costs_only_its_own_line(time: str) -> None:
    batch = parse([json.dumps(a_record(**metadata(inferenceTime=time))), json.dumps(a_record())], SIGNATURE)
    assert (len(batch.frame), len(batch.rejected)) == (1, 1)


def test_times_are_read_in_utc_whatever_their_zone() -> None:
    times = ["2022-02-14T19:25:49+02:00", "2022-02-14T17:25:49", "2022-02-14T17:25:49.000Z"]
    frame = parse([json.dumps(a_record(**metadata(inferenceTime=time))) for time in times], SIGNATURE).frame
    assert set(frame["inference_time"]) == {datetime(2022, 2, 14, 17, 25, 49, tzinfo=UTC)}


def test_scores_are_tied_to_payments_only_where_that_is_certain() -> None:
    several = codec.encode_instances([dict.fromkeys(FEATURES, 1.0)] * 2).decode()
    batch = with_side("endpointInput", data=several) | metadata(eventId="e-2", inferenceId="t-2")
    batch["captureData"]["endpointOutput"]["data"] = codec.encode_response([0.1, 0.2], 0.5, JSON)[0].decode()
    records = [
        a_record(**metadata(eventId="e-4", inferenceId="t-4", inferenceTime="2022-02-14T18:00:00Z")),
        a_record(),
        batch,
        a_record(**metadata(eventId="e-3", inferenceId="")),
    ]
    frame = parse([json.dumps(record) for record in records], SIGNATURE).frame
    assert len(frame) == 5
    assert answers_to_one_payment(frame)["inference_id"].tolist() == ["t-1", "t-4"]
    assert answers_to_one_payment(frame.head(0)).empty


def test_a_line_captured_twice_is_one_answer() -> None:
    frame = parse([json.dumps(a_record())] * 2, SIGNATURE).frame
    assert answers_to_one_payment(frame)["inference_id"].tolist() == ["t-1"]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
PLACES = st.sampled_from(
    [
        (),
        ("captureData",),
        ("eventMetadata",),
        ("eventVersion",),
        ("captureData", "endpointInput"),
        ("captureData", "endpointInput", "data"),
        ("captureData", "endpointInput", "encoding"),
        ("captureData", "endpointInput", "observedContentType"),
        ("captureData", "endpointOutput"),
        ("captureData", "endpointOutput", "data"),
        ("eventMetadata", "eventId"),
        ("eventMetadata", "inferenceId"),
        ("eventMetadata", "inferenceTime"),
    ]
)


@st.composite
def spoilt_lines(draw: st.DrawFn) -> str:
    """A captured line with one part replaced by anything or cut off."""
    record: Any = a_record()
    place = draw(PLACES)
    value = draw(JSON_VALUES)
    if place:
        *way, last = place
        target = record
        for step in way:
            target = target[step]
        target[last] = value
    else:
        record = value
    line = json.dumps(record)
    return line[: draw(st.integers(1, len(line)))] if draw(st.booleans()) else line


@settings(max_examples=120, deadline=None)
@given(st.lists(spoilt_lines() | st.text(min_size=1, max_size=40), max_size=6))
def test_no_line_is_lost_and_none_stops_the_others_whatever_is_in_it(lines: list[str]) -> None:
    good = json.dumps(a_record())
    batch = parse([good, *lines, good], SIGNATURE)
    written = [line for line in lines if line.strip()]
    assert len(batch.frame) + len(batch.rejected) + batch.synthetic == len(written) + 2
    assert len(batch.frame) >= 2
    assert all(reason and len(reason) < 250 for reason in batch.rejected)


@pytest.mark.parametrize("probe", ["steady-0", "steady-99"])
def test_our_own_probes_are_no_payments(probe: str) -> None:
    batch = parse([json.dumps(a_record(**metadata(inferenceId=probe)))], SIGNATURE)
    assert (len(batch.frame), batch.rejected, batch.synthetic) == (0, (), 1)


def test_a_line_of_a_model_with_other_features_is_rejected_with_its_time() -> None:
    """In the hour of a swap the earlier model's requests are in the same objects."""
    older = with_side("endpointInput", data=codec.encode_instances([{"amount": 1.0, "age": 2.0}]).decode())
    batch = parse([json.dumps(a_record()), json.dumps(older)], SIGNATURE)
    (reject,) = batch.rejects
    assert reject.reason == "RequestError: row 1 lacks is_weekend, terminal_fraud_rate_7d; send null if unknown"
    assert reject.inference_time == datetime(2022, 2, 14, 17, 25, 49, tzinfo=UTC)
    assert len(batch.frame) == 1


def test_a_score_that_is_no_number_is_a_row_for_the_quality_check_to_see() -> None:
    batch = parse([json.dumps(with_side("endpointOutput", data='{"predictions": [{"score": NaN}]}'))], SIGNATURE)
    assert batch.frame["score"].isna().tolist() == [True]
