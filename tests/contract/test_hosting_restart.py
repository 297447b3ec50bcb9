"""A stand-in that is killed or stopped leaves no process behind, loses no captured line and serves again."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from ml_platform.core.settings import Settings
from tests.conftest import free_port, start_stand_in
from tests.contract.hosting_account import Account, eventually, register_image
from tests.contract.test_hosting_rollouts import a_failed_rollback, add_fault


class Restartable:
    """A stand-in of the test's own."""

    def __init__(self, home: Path, images_file: Path, ground_services: str) -> None:
        self.port = free_port()
        self._arguments = (home, images_file, ground_services, self.port, "--time-scale", "0.01")
        self.process = self.start()

    def start(self) -> "subprocess.Popen[bytes]":
        self.process = start_stand_in(*self._arguments)
        return self.process

    def end(self, number: int) -> None:
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(number)
        self.process.wait(20)
        assert not psutil.wait_procs(children, timeout=10)[1], "a server outlived the stand-in"

    def servers(self) -> list[psutil.Process]:
        """Return the processes that run our serving script, without the wrappers around them."""
        found = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if "hosted.py" in " ".join(child.cmdline()[-1:]) and not child.children():
                    found.append(child)
        return found


@pytest.fixture
def restartable(settings: Settings, ground_services: str, images_file: Path, tmp_path: Path) -> Iterator[Restartable]:
    register_image(images_file)
    stand_in = Restartable(tmp_path / "stand-in", images_file, ground_services)
    yield stand_in
    if stand_in.process.poll() is None:
        stand_in.end(signal.SIGTERM)


@pytest.fixture
def account(restartable: Restartable, settings: Settings) -> Account:
    return Account(f"http://127.0.0.1:{restartable.port}", settings.bucket)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def test_endpoints_serve_again_and_captures_are_kept(
    account: Account, restartable: Restartable, number: signal.Signals
) -> None:
    rules = {
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{account.bucket}/capture",
        "CaptureOptions": [{"CaptureMode": "Output"}],
    }
    config = account.a_config("first", DataCaptureConfig=rules)
    endpoint = account.an_endpoint(config)
    # The archive is not needed again: S3 may be gone when a laptop comes back.
    account.s3.delete_object(Bucket=account.bucket, Key=f"models/{config}.tar.gz")
    for _ in range(50):
        account.invoke(endpoint)
    before = account.describe(endpoint)
    restartable.end(number)
    restartable.start()
    after = account.describe(endpoint)
    assert after["EndpointStatus"] == "InService"
    assert after["LastModifiedTime"] == before["LastModifiedTime"]
    assert account.invoke(endpoint) == "first"

    def captured() -> int:
        found = account.s3.list_objects_v2(Bucket=account.bucket, Prefix="capture/").get("Contents", [])
        bodies = (account.s3.get_object(Bucket=account.bucket, Key=each["Key"])["Body"].read() for each in found)
        return sum(body.count(b"\n") for body in bodies)

    eventually(lambda: captured() == 51)


def test_what_was_under_way_is_finished_after_a_crash(account: Account, restartable: Restartable) -> None:
    updating = account.an_endpoint(account.a_config("blue"))
    green, other = account.a_config("green", environment={"PING_STATUS": "200"}), account.a_config("other")
    account.sagemaker.update_endpoint(EndpointName=updating, EndpointConfigName=green)
    account.sagemaker.create_endpoint(EndpointName=other, EndpointConfigName=other)
    restartable.end(signal.SIGKILL)
    restartable.start()
    assert account.settled(updating)["EndpointConfigName"] == green
    assert account.invoke(updating) == "green"
    assert account.settled(other)["EndpointStatus"] == "InService"
    assert account.invoke(other) == "other"
    account.sagemaker.delete_endpoint(EndpointName=other)


def test_a_deployment_that_was_baking_is_rolled_back_after_a_crash(account: Account, restartable: Restartable) -> None:
    blue, green = account.a_config("blue"), account.a_config("green")
    endpoint = account.an_endpoint(blue)
    routing = {
        "Type": "CANARY",
        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 20},
        "WaitIntervalInSeconds": 3000,
    }
    policy = {"TrafficRoutingConfiguration": routing, "MaximumExecutionTimeoutInSeconds": 7200}
    account.sagemaker.update_endpoint(
        EndpointName=endpoint, EndpointConfigName=green, DeploymentConfig={"BlueGreenUpdatePolicy": policy}
    )

    def baking() -> bool:
        (variant,) = account.describe(endpoint)["PendingDeploymentSummary"]["ProductionVariants"]
        return bool(variant["VariantStatus"][0]["Status"] == "Baking")

    eventually(baking)
    restartable.end(signal.SIGKILL)
    restartable.start()
    described = account.settled(endpoint)
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", blue)
    assert "interrupted" in described["FailureReason"]
    assert {account.invoke(endpoint) for _ in range(10)} == {"blue"}


def test_a_server_that_is_killed_under_traffic_fails_no_request(account: Account, restartable: Restartable) -> None:
    endpoint = account.an_endpoint(account.a_config("first"))
    with account.steady_traffic(endpoint) as traffic:
        (before,) = restartable.servers()
        before.kill()
        (after,) = eventually(lambda: [each for each in restartable.servers() if each.pid != before.pid])
        traffic.reach(20)
    assert after.pid != before.pid
    assert traffic.failures == []


def test_an_endpoint_whose_image_was_not_known_at_one_start_serves_after_the_next(
    account: Account, restartable: Restartable, images_file: Path
) -> None:
    endpoint = account.an_endpoint(account.a_config("first"))
    restartable.end(signal.SIGTERM)
    images = images_file.read_text()
    try:
        images_file.write_text("{}")
        restartable.start()
        described = account.settled(endpoint, "Failed")
        assert "is not known here" in described["FailureReason"]
        restartable.end(signal.SIGTERM)
    finally:
        images_file.write_text(images)
    restartable.start()
    assert "FailureReason" not in account.settled(endpoint, "InService")
    assert account.invoke(endpoint) == "first"


def test_an_endpoint_whose_rollback_failed_serves_from_both_fleets_again(
    account: Account, restartable: Restartable
) -> None:
    address = f"http://127.0.0.1:{restartable.port}"
    endpoint, _ = a_failed_rollback(account, address, lambda name: add_fault(address, name))
    restartable.end(signal.SIGKILL)
    restartable.start()
    eventually(lambda: {account.invoke(endpoint) for _ in range(40)} == {"blue", "green"})
    assert account.describe(endpoint)["EndpointStatus"] == "UpdateRollbackFailed"
