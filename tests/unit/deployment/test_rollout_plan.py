"""How an update reaches its endpoint: part of the new fleet first, watched by alarms on that fleet alone."""

import pytest
from pydantic import ValidationError

from ml_platform.deployment.rollout_plan import RolloutPolicy, alarm_requests, deployment_config

CAREFUL = RolloutPolicy()


def test_a_canary_goes_first_and_any_alarm_sends_it_back() -> None:
    config = deployment_config(CAREFUL, ["errors", "latency"])
    routing = config["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert (routing["Type"], routing["CanarySize"]["Value"]) == ("CANARY", 10)
    assert config["AutoRollbackConfiguration"]["Alarms"] == [{"AlarmName": "errors"}, {"AlarmName": "latency"}]


@pytest.mark.parametrize(
    "policy",
    [RolloutPolicy(strategy="all_at_once"), RolloutPolicy(instance_count=1)],
    ids=["asked for", "one instance"],
)
def test_without_two_instances_to_split_all_traffic_moves_at_once(policy: RolloutPolicy) -> None:
    config = deployment_config(policy, [])
    assert config["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]["Type"] == "ALL_AT_ONCE"
    assert "AutoRollbackConfiguration" not in config
    assert not alarm_requests(policy, endpoint="card-fraud", config="card-fraud-v2")


def test_alarms_watch_the_new_fleet_alone() -> None:
    """On endpoint and variant alone, an old fleet in trouble would condemn the new one."""
    for request in alarm_requests(CAREFUL, endpoint="card-fraud", config="card-fraud-v2"):
        dimensions = {each["Name"]: each["Value"] for each in request["Dimensions"]}
        assert dimensions["EndpointConfigName"] == "card-fraud-v2"
        assert request["TreatMissingData"] == "notBreaching"


def test_latency_is_compared_in_sagemakers_microseconds() -> None:
    policy = RolloutPolicy(max_p95_latency_ms=250)
    latency = alarm_requests(policy, endpoint="card-fraud", config="card-fraud-v2")[1]
    assert (latency["Threshold"], latency["Unit"]) == (250_000, "Microseconds")


def test_more_than_half_at_first_is_no_canary() -> None:
    with pytest.raises(ValidationError):
        RolloutPolicy(canary_percent=51)
