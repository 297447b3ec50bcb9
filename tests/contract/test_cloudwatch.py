"""CloudWatch keeps metrics, sums them up and evaluates alarms, through unmodified boto3."""

import urllib.error
import urllib.request
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.awsrequest import HeadersDict
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from botocore.session import Session

from tests.contract.hosting_account import eventually


@pytest.fixture
def cloudwatch(stand_in: str) -> Any:
    return boto3.client("cloudwatch", endpoint_url=stand_in, config=Config(retries={"total_max_attempts": 1}))


@pytest.fixture
def namespace() -> str:
    return f"Shop/{uuid.uuid4().hex[:8]}"


def put(cloudwatch: Any, namespace: str, *values: float, metric: str = "Latency", **more: Any) -> None:
    datum = {"MetricName": metric, "Values": [float(value) for value in values], **more}
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=[datum])


def ask(cloudwatch: Any, *queries: dict[str, Any]) -> dict[str, float]:
    """Return each query's total over the last minutes."""
    now = datetime.now(UTC)
    answer = cloudwatch.get_metric_data(
        MetricDataQueries=list(queries), StartTime=now - timedelta(minutes=30), EndTime=now + timedelta(minutes=1)
    )
    return {result["Id"]: sum(result["Values"]) for result in answer["MetricDataResults"]}


def query(identifier: str, namespace: str, stat: str, metric: str = "Latency", **dimensions: str) -> dict[str, Any]:
    named = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    found = {"Namespace": namespace, "MetricName": metric, "Dimensions": named}
    return {"Id": identifier, "MetricStat": {"Metric": found, "Period": 3600, "Stat": stat}}


def an_alarm(cloudwatch: Any, namespace: str, **changes: Any) -> str:
    name = f"alarm-{uuid.uuid4().hex[:8]}"
    request = {
        "AlarmName": name,
        "Namespace": namespace,
        "MetricName": "Latency",
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 100.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "ignore",
    } | changes
    cloudwatch.put_metric_alarm(**{key: value for key, value in request.items() if value is not None})
    return name


def state(cloudwatch: Any, name: str) -> str:
    answer = cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    (alarm,) = answer["MetricAlarms"] + answer["CompositeAlarms"]
    return str(alarm["StateValue"])


@pytest.mark.parametrize(
    ("stat", "value"),
    [
        ("Average", 4.0),
        ("Sum", 20.0),
        ("Minimum", 1.0),
        ("Maximum", 10.0),
        ("SampleCount", 5.0),
        ("p50", 3.0),
        ("p99.9", 10.0),
        ("PR(:3)", 60.0),
    ],
)
def test_statistics_are_what_the_values_say(cloudwatch: Any, namespace: str, stat: str, value: float) -> None:
    put(cloudwatch, namespace, 1, 2, 3)
    put(cloudwatch, namespace, 4, 10)
    assert ask(cloudwatch, query("m", namespace, stat)) == {"m": value}


def test_dimensions_match_exactly_or_not_at_all(cloudwatch: Any, namespace: str) -> None:
    dimensions = [{"Name": "Shop", "Value": "a"}, {"Name": "Till", "Value": "1"}]
    put(cloudwatch, namespace, 5, Dimensions=dimensions)
    put(cloudwatch, namespace, 7, Dimensions=dimensions[:1])
    assert ask(
        cloudwatch,
        query("both", namespace, "Sum", Till="1", Shop="a"),
        query("one", namespace, "Sum", Shop="a"),
        query("none", namespace, "Sum"),
    ) == {"both": 5.0, "one": 7.0, "none": 0}
    listed = cloudwatch.list_metrics(Namespace=namespace, Dimensions=[{"Name": "Till"}])["Metrics"]
    assert listed == [{"Namespace": namespace, "MetricName": "Latency", "Dimensions": dimensions}]


def test_get_metric_statistics_and_expressions_agree(cloudwatch: Any, namespace: str) -> None:
    put(cloudwatch, namespace, 6, 8, metric="Errors")
    put(cloudwatch, namespace, 100, metric="Requests")
    rate = {"Id": "rate", "Expression": "IF(requests > 0, 100 * errors / requests, 0)"}
    errors, requests = (query(each.lower(), namespace, "Sum", each) for each in ("Errors", "Requests"))
    assert ask(cloudwatch, rate, errors | {"ReturnData": False}, requests) == {"rate": 14.0, "requests": 100.0}
    now = datetime.now(UTC)
    (point,) = cloudwatch.get_metric_statistics(
        Namespace=namespace,
        MetricName="Errors",
        StartTime=now - timedelta(minutes=30),
        EndTime=now + timedelta(minutes=1),
        Period=86_400,
        Statistics=["Sum", "SampleCount"],
    )["Datapoints"]
    assert (point["Sum"], point["SampleCount"]) == (14.0, 2.0)


def test_an_alarm_follows_its_metric(cloudwatch: Any, namespace: str) -> None:
    name = an_alarm(cloudwatch, namespace)
    assert state(cloudwatch, name) == "INSUFFICIENT_DATA"
    put(cloudwatch, namespace, 101)
    eventually(lambda: state(cloudwatch, name) == "ALARM")
    put(cloudwatch, namespace, 99)
    eventually(lambda: state(cloudwatch, name) == "OK")
    summaries = [
        item["HistorySummary"]
        for item in cloudwatch.describe_alarm_history(AlarmName=name, HistoryItemType="StateUpdate")[
            "AlarmHistoryItems"
        ]
    ]
    assert summaries == ["Alarm updated from ALARM to OK", "Alarm updated from INSUFFICIENT_DATA to ALARM"]


def test_an_alarm_on_an_expression_and_a_composite_follow(cloudwatch: Any, namespace: str) -> None:
    stat = {"Period": 60, "Stat": "Sum"}
    metrics = [
        {"Id": "rate", "Expression": "errors / requests", "ReturnData": True},
        *(
            {
                "Id": each.lower(),
                "MetricStat": {"Metric": {"Namespace": namespace, "MetricName": each}, **stat},
                "ReturnData": False,
            }
            for each in ("Errors", "Requests")
        ),
    ]
    plain = dict.fromkeys(("Namespace", "MetricName", "Statistic", "Period"))
    rate = an_alarm(cloudwatch, namespace, Metrics=metrics, Threshold=0.1, **plain)
    other = an_alarm(cloudwatch, namespace, MetricName="Never")
    both = f"both-{rate}"
    cloudwatch.put_composite_alarm(AlarmName=both, AlarmRule=f'ALARM("{rate}") AND NOT ALARM({other})')
    eventually(lambda: state(cloudwatch, both) == "OK")
    data = [{"MetricName": "Errors", "Value": 2.0}, {"MetricName": "Requests", "Value": 10.0}]
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)
    eventually(lambda: state(cloudwatch, both) == "ALARM")
    cloudwatch.set_alarm_state(AlarmName=other, StateValue="ALARM", StateReason="tried")
    eventually(lambda: state(cloudwatch, both) == "OK")
    with pytest.raises(ClientError, match="depends on it"):
        cloudwatch.delete_alarms(AlarmNames=[other])
    cloudwatch.delete_alarms(AlarmNames=[both, other, rate])
    assert cloudwatch.describe_alarms(AlarmNames=[rate])["MetricAlarms"] == []


def test_an_alarm_counts_m_of_n(cloudwatch: Any, namespace: str) -> None:
    """With the clock at 0.01, a period of 600 s is 6 s here: its values are put where they belong."""
    name = an_alarm(cloudwatch, namespace, Period=600, EvaluationPeriods=3, DatapointsToAlarm=2)
    now = datetime.now(UTC).timestamp() // 6 * 6
    for age, value in ((18, 200), (12, 5), (6, 200)):
        put(cloudwatch, namespace, value, Timestamp=now - age + 0.1)
    eventually(lambda: state(cloudwatch, name) == "ALARM")


@pytest.mark.parametrize(
    ("call", "arguments", "code"),
    [
        ("put_metric_data", {"Namespace": "AWS/SageMaker", "MetricData": []}, "InvalidParameterValue"),
        (
            "put_metric_data",
            {"Namespace": "a", "MetricData": [{"MetricName": "x", "Value": 2.0**361}]},
            "InvalidParameterValue",
        ),
        ("put_metric_data", {"Namespace": "a", "MetricData": [{"MetricName": "x"}]}, "InvalidParameterCombination"),
        ("put_metric_alarm", {"AlarmName": "x"}, "MissingParameter"),
        ("put_composite_alarm", {"AlarmName": "x", "AlarmRule": "ALARM(nothing)"}, "ValidationError"),
        ("put_composite_alarm", {"AlarmName": "x", "AlarmRule": "AND"}, "ValidationError"),
        ("set_alarm_state", {"AlarmName": "x", "StateValue": "OK", "StateReason": ""}, "ResourceNotFound"),
        ("delete_alarms", {"AlarmNames": ["no-such"]}, "ResourceNotFound"),
        ("put_dashboard", {"DashboardName": "x", "DashboardBody": "{}"}, "UnknownOperationException"),
    ],
)
def test_what_cannot_be_is_refused(cloudwatch: Any, call: str, arguments: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(cloudwatch, call)(**arguments)
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] < 500


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"AlarmActions": ["arn:aws:lambda:us-east-1:000000000000:function:f"]},
            "does not implement alarm actions but SNS",
        ),
        ({"OKActions": ["arn:aws:sns:eu-west-1:000000000000:pager"]}, "Invalid region eu-west-1 specified"),
        ({"AlarmActions": ["pager"]}, "Invalid arn syntax: pager"),
        ({"Period": 45}, "Period must be"),
        ({"EvaluationPeriods": 1441}, "across more than 86400 s"),
        ({"Statistic": None, "ExtendedStatistic": "tm99"}, "not supported"),
        ({"DatapointsToAlarm": 2}, "DatapointsToAlarm must be"),
        ({"ComparisonOperator": "GreaterThanUpperThreshold"}, "anomaly detection"),
    ],
)
def test_an_alarm_that_would_not_do_what_it_says_is_refused(
    cloudwatch: Any, namespace: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ClientError, match=message):
        an_alarm(cloudwatch, namespace, **changes)


def test_large_requests_come_compressed(cloudwatch: Any, namespace: str) -> None:
    data = [{"MetricName": "Latency", "Value": 1.0, "Dimensions": [{"Name": "Padding", "Value": "x" * 250}]}] * 100
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)
    assert ask(cloudwatch, query("m", namespace, "Sum", Padding="x" * 250)) == {"m": 100.0}


def call_in_cbor(stand_in: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Call CloudWatch as clients do that prefer the newer of botocore's two protocols."""
    model = Session().get_service_model("cloudwatch").operation_model(operation)
    sent = create_serializer("smithy-rpc-v2-cbor").serialize_to_request(parameters, model)
    address = stand_in + sent["url_path"]
    request = urllib.request.Request(address, data=sent["body"], headers=sent["headers"])  # noqa: S310 - loopback
    try:
        answer = urllib.request.urlopen(request)  # noqa: S310 - loopback
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        received = {"status_code": answer.status, "headers": HeadersDict(answer.headers), "body": answer.read()}
    parsed: dict[str, Any] = create_parser("smithy-rpc-v2-cbor").parse(received, model.output_shape)
    return parsed


def test_cbor_is_spoken_too(stand_in: str, namespace: str) -> None:
    now = datetime.now(UTC)
    datum = {"MetricName": "Latency", "Value": 2.5, "Timestamp": now}
    call_in_cbor(stand_in, "PutMetricData", {"Namespace": namespace, "MetricData": [datum]})
    span = {"StartTime": now - timedelta(minutes=5), "EndTime": now + timedelta(minutes=5)}
    queries = [query("m", namespace, "Sum")]
    (result,) = call_in_cbor(stand_in, "GetMetricData", {"MetricDataQueries": queries, **span})["MetricDataResults"]
    assert result["Values"] == [2.5]
    assert abs(result["Timestamps"][0] - now) <= timedelta(hours=1)
    for value in (float("nan"), float("inf")):
        datum = {"MetricName": "Latency", "Value": value}
        answer = call_in_cbor(stand_in, "PutMetricData", {"Namespace": namespace, "MetricData": [datum]})
        assert answer["Error"]["Code"] == "InvalidParameterValue"


@pytest.mark.parametrize("body", [b"", b"\xff", b"\xa1", b"\x9f" * 3000, b"\xbf\x61", b"{}", b"\xc1\xf9\x7e\x00"])
def test_what_is_no_cbor_is_refused(stand_in: str, body: bytes) -> None:
    path = "/service/GraniteServiceVersion20100801/operation/PutMetricData"
    headers = {"Content-Type": "application/cbor"}
    request = urllib.request.Request(stand_in + path, data=body, headers=headers)  # noqa: S310 - loopback
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)  # noqa: S310 - loopback
    assert caught.value.code == 400
    caught.value.close()
