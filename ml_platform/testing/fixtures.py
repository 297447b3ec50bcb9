"""A pytest plugin: a real SageMaker, S3 and their neighbours for every test that asks for ``sagemaker_stand_in``.

In a project's top-level ``conftest.py``::

    pytest_plugins = ["ml_platform.testing.fixtures"]

    @pytest.fixture(scope="session")
    def sagemaker_images() -> dict[str, dict[str, list[str]]]:
        return {"123456789012.dkr.ecr.eu-west-1.amazonaws.com/mine:1": {"train": ["python3", "/repo/train.py"]}}

One set of services serves a whole test session, and each of pytest-xdist's workers has its own.
"""

from collections.abc import Iterator

import pytest

from ml_platform.testing.stand_in import Images, StandIn


@pytest.fixture(scope="session")
def sagemaker_images() -> Images:
    """What the stand-in runs for each container image. Override it with your own; tests can add to it."""
    return {}


@pytest.fixture(scope="session")
def sagemaker_time_scale() -> float:
    """Pace of the waits that AWS imposes: a bake of 600 s takes 6 s. Override it with your own."""
    return 0.01


@pytest.fixture(scope="session")
def sagemaker_services(
    tmp_path_factory: pytest.TempPathFactory, sagemaker_images: Images, sagemaker_time_scale: float
) -> Iterator[StandIn]:
    """The services of the whole session. A test asks for ``sagemaker_stand_in``."""
    with StandIn(tmp_path_factory.mktemp("sagemaker"), sagemaker_images, sagemaker_time_scale) as services:
        yield services


@pytest.fixture
def sagemaker_stand_in(
    sagemaker_services: StandIn, sagemaker_time_scale: float, monkeypatch: pytest.MonkeyPatch
) -> Iterator[StandIn]:
    """A SageMaker whom this test may give faults; boto3 talks to it, however it is called, while the test runs."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in sagemaker_services.environment.items():
        monkeypatch.setenv(name, value)
    yield sagemaker_services
    sagemaker_services.faults.clear()
    sagemaker_services.clock.rescale(sagemaker_time_scale)
    sagemaker_services.clock.thaw()
