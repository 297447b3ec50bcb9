"""A server that lives but is no longer healthy is replaced."""

from pathlib import Path

import boto3
import pytest

from ml_platform.core.settings import Settings
from tests.contract.hosting_account import Account, eventually, register_image


@pytest.fixture
def account(sagemaker_settings: Settings, stand_in: str, images_file: Path) -> Account:
    register_image(images_file)
    return Account(stand_in, sagemaker_settings.bucket)


def test_a_server_that_fails_its_health_checks_is_replaced(account: Account) -> None:
    endpoint = account.an_endpoint(account.a_config("first"))
    logs, group = boto3.client("logs"), f"/aws/sagemaker/Endpoints/{endpoint}"

    def starts() -> int:
        if not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
            return 0
        events = logs.filter_log_events(logGroupName=group)["events"]
        return sum(event["message"].startswith("serving first") for event in events)

    eventually(lambda: starts() == 1)
    assert account.invoke(endpoint, b"sicken") == "first"
    eventually(lambda: starts() == 2)
    assert account.invoke(endpoint) == "first"
    assert account.describe(endpoint)["EndpointStatus"] == "InService"
