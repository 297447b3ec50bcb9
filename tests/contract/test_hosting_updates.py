"""An endpoint changes, and survives what goes wrong meanwhile, without a failed request."""

from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from ml_platform.core.settings import Settings
from tests.contract.hosting_account import Account, register_image

ALL_AT_ONCE = {
    "BlueGreenUpdatePolicy": {
        "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
        "TerminationWaitInSeconds": 20,
        "MaximumExecutionTimeoutInSeconds": 600,
    }
}


@pytest.fixture
def account(sagemaker_settings: Settings, stand_in: str, images_file: Path) -> Account:
    register_image(images_file)
    return Account(stand_in, sagemaker_settings.bucket)


def test_an_update_under_steady_traffic_fails_no_request(account: Account) -> None:
    endpoint = account.an_endpoint(account.a_config("blue"))
    green = account.a_config("green")
    with account.steady_traffic(endpoint) as traffic:
        account.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=green, DeploymentConfig=ALL_AT_ONCE)
        described = account.settled(endpoint)
    assert traffic.failures == []
    assert described["EndpointConfigName"] == green
    assert described["LastDeploymentConfig"] == ALL_AT_ONCE
    assert set(traffic.answers) == {"blue", "green"}
    assert traffic.answers[-1] == "green"


def test_a_request_that_takes_long_is_finished_by_the_old_fleet(account: Account) -> None:
    endpoint = account.an_endpoint(account.a_config("blue"))
    with account.steady_traffic(endpoint, clients=1):
        import threading

        slow: list[str] = []
        request = threading.Thread(target=lambda: slow.append(account.invoke(endpoint, b"sleep 1.5")))
        request.start()
        account.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=account.a_config("green"))
        account.settled(endpoint)
        request.join()
    assert slow == ["blue"]


def test_a_broken_green_fleet_is_rolled_back_without_a_failed_request(account: Account) -> None:
    blue = account.a_config("blue")
    endpoint = account.an_endpoint(blue)
    broken = account.a_config("green", environment={"EXIT_AT_START": "7"})
    with account.steady_traffic(endpoint) as traffic:
        account.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=broken)
        described = account.settled(endpoint)
    assert traffic.failures == []
    assert set(traffic.answers) == {"blue"}
    assert described["EndpointStatus"] == "InService"
    assert described["EndpointConfigName"] == blue
    assert "did not pass the ping health check" in described["FailureReason"]
    account.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=account.a_config("mended"))
    assert "FailureReason" not in account.settled(endpoint)
    assert account.invoke(endpoint) == "mended"


def test_an_endpoint_that_is_changing_refuses_another_change(account: Account) -> None:
    endpoint = account.an_endpoint(account.a_config("blue"))
    green = account.a_config("green")
    account.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=green, DeploymentConfig=ALL_AT_ONCE)
    described = account.describe(endpoint)
    assert described["EndpointStatus"] == "Updating"
    assert described["PendingDeploymentSummary"]["EndpointConfigName"] == green
    for call in (
        lambda: account.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=green),
        lambda: account.sagemaker.delete_endpoint(EndpointName=endpoint),
    ):
        with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
            call()
    account.settled(endpoint)


def test_an_update_can_retain_weights_and_instances(account: Account) -> None:
    endpoint = account.an_endpoint(account.a_config("blue"))
    account.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint,
        DesiredWeightsAndCapacities=[{"VariantName": "primary", "DesiredWeight": 0.5, "DesiredInstanceCount": 2}],
    )
    account.settled(endpoint)
    account.sagemaker.update_endpoint(
        EndpointName=endpoint, EndpointConfigName=account.a_config("green"), RetainAllVariantProperties=True
    )
    (variant,) = account.settled(endpoint)["ProductionVariants"]
    assert (variant["CurrentWeight"], variant["CurrentInstanceCount"]) == (0.5, 2)
    assert account.invoke(endpoint) == "green"


def test_a_failed_endpoint_is_mended_by_an_update(account: Account) -> None:
    broken = account.a_config("never", environment={"EXIT_AT_START": "7"})
    account.sagemaker.create_endpoint(EndpointName=broken, EndpointConfigName=broken)
    assert account.settled(broken)["EndpointStatus"] == "Failed"
    account.sagemaker.update_endpoint(EndpointName=broken, EndpointConfigName=account.a_config("mended"))
    assert account.settled(broken)["EndpointStatus"] == "InService"
    assert account.invoke(broken) == "mended"


def test_a_server_that_crashes_is_replaced(account: Account) -> None:
    endpoint = account.an_endpoint(account.a_config("first"))
    with pytest.raises(ClientError) as caught:
        account.invoke(endpoint, b"exit")
    assert caught.value.response["Error"]["Code"] == "ServiceUnavailable"
    assert account.invoke(endpoint) == "first"
    assert account.describe(endpoint)["EndpointStatus"] == "InService"
