"""A pytest plugin for moto's own tests: their ``mock_aws`` becomes real services, and every outcome is written down.

Loaded with ``-p server_mode`` into the process that runs moto's source distribution; imports nothing of ours, because
there ``tests`` is moto's package. boto3 finds the services through ``AWS_ENDPOINT_URL`` and its kin.
"""

import json
import os
from base64 import b64decode
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest
from moto.core import decorator, models

RESETS = json.loads(os.environ["MOTO_NET_RESETS"])
"""What is to be posted to before each test, so that it finds nothing of others."""
LEFT_OUT = frozenset(json.loads(Path(os.environ["MOTO_NET_LEFT_OUT"]).read_text()))
"""The tests not to run, by id."""
OBJECTS = json.loads(os.environ["MOTO_NET_OBJECTS"])
"""Bucket, key and bytes of each object that all tests find."""
S3 = boto3.client("s3")
OUTCOMES = Path(os.environ["MOTO_NET_OUTCOMES"])


class RealServices(models.ServerModeMockAWS):
    """moto's server mode without a server: boto3 finds each service where the environment says."""

    def reset(self) -> None:
        """Nothing: every test begins with one reset."""

    def _enable_patching(self, reset: bool = True) -> None:  # noqa: FBT001, FBT002 - moto's signature
        """Nothing: boto3 stays as it is."""

    def _disable_patching(self, remove_data: bool) -> None:  # noqa: FBT001 - moto's signature
        """Nothing was patched."""


# ``mock_aws`` looks the class up when it decorates: test modules are imported after this plugin.
decorator.ServerModeMockAWS = RealServices  # type: ignore[misc]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Let a test find nothing of others."""
    for address in RESETS:
        with urlopen(Request(address, method="POST"), timeout=30):  # noqa: S310 - loopback addresses of ours
            pass
    for bucket, key, body in OBJECTS:
        S3.create_bucket(Bucket=bucket)
        S3.put_object(Bucket=bucket, Key=key, Body=b64decode(body))


LEFT = "left out"


class Outcomes:
    """What became of each test: ``left out``, ``passed``, ``skipped``, or the error of the first phase that failed."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        self.found = {item.nodeid: LEFT if item.nodeid in LEFT_OUT else "did not run" for item in items}
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in LEFT_OUT])
        items[:] = [item for item in items if item.nodeid not in LEFT_OUT]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.found[report.nodeid] = _error(report)
        elif report.when == "call" or report.skipped:
            self.found[report.nodeid] = report.outcome

    def pytest_sessionfinish(self) -> None:
        OUTCOMES.write_text(json.dumps(self.found, indent=1))


def _error(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return f"line {crash.lineno}: {crash.message}" if crash else str(report.longrepr)


def pytest_configure(config: pytest.Config) -> None:
    """Watch the run."""
    config.pluginmanager.register(Outcomes())


def pytest_collectreport(report: Any) -> None:
    """A test module that cannot be imported would otherwise look like one without tests."""
    if report.failed:
        raise pytest.UsageError(str(report.longrepr))
