"""The local services: real processes, started, killed, found again, and never lost to a stranger on a port."""

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ml_platform.aws.objects import ObjectStore
from ml_platform.cli.environment import exported, for_children
from ml_platform.cli.home import AlreadyRunningError
from ml_platform.cli.processes import LOOPBACK, ProcessRecord
from ml_platform.cli.service_specs import Service, ground, image_commands, is_running, record_path, stand_in
from ml_platform.cli.services import LocalServices, attached
from ml_platform.core.errors import ConfigurationError, ServiceUnavailableError
from ml_platform.core.settings import Settings


@pytest.fixture
def only_ground(prepared: Settings) -> Iterator[LocalServices]:
    with LocalServices(prepared, services=(ground(prepared),)) as services:
        yield services


def record_of(settings: Settings) -> ProcessRecord:
    record = ProcessRecord.read(record_path(settings.home, "ground"))
    assert record is not None
    return record


def test_all_services_start_answer_and_stop(prepared: Settings) -> None:
    before = dict(os.environ)
    with LocalServices(prepared) as services:
        assert is_running(prepared.home, ground(prepared))
        assert is_running(prepared.home, stand_in(prepared))
        assert os.environ["AWS_ENDPOINT_URL"].endswith(str(prepared.ground_port))
        assert os.environ["AWS_ENDPOINT_URL_SAGEMAKER"].endswith(str(prepared.sagemaker_port))
        services.check()
        processes = [psutil.Process(record_of(prepared).pid)]
    assert dict(os.environ) == before
    assert not any(process.is_running() for process in processes)
    assert not list((prepared.home / "run").glob("*.json"))


def test_an_object_survives_kill_9_and_the_leftover_record_is_no_obstacle(prepared: Settings) -> None:
    only = (ground(prepared),)
    with LocalServices(prepared, services=only) as services:
        ObjectStore.from_settings(prepared).put("models/a.json", b"kept")
        record = record_of(prepared)
        os.kill(record.pid, signal.SIGKILL)
        psutil.Process(record.pid).wait(10)
        with pytest.raises(ServiceUnavailableError, match=r"The ground services .* ended"):
            services.check()
    record.write(record_path(prepared.home, "ground"))
    with LocalServices(prepared, services=only):
        assert ObjectStore.from_settings(prepared).get("models/a.json") == b"kept"
        assert record_of(prepared) != record


def test_a_service_left_over_by_a_killed_command_is_stopped_and_replaced(prepared: Settings) -> None:
    told: list[str] = []
    abandoned = LocalServices(prepared, services=(ground(prepared),))
    abandoned.__enter__()
    try:
        left_over = record_of(prepared)
        # What a kill -9 of the command leaves: services that run, and a lock that nobody holds.
        (prepared.home / "run" / "services.lock").unlink()
        with LocalServices(prepared, services=(ground(prepared),), report=told.append):
            assert not left_over.alive()
            assert record_of(prepared).alive()
    finally:
        abandoned.__exit__(None, None, None)
    assert any(str(left_over.pid) in line for line in told)


def test_a_second_command_is_refused_or_attaches_and_leaves_the_services_running(only_ground: LocalServices) -> None:
    settings = only_ground.settings
    services = (ground(settings),)
    with (
        pytest.raises(AlreadyRunningError, match="already runs the services"),
        LocalServices(settings, services=services),
    ):
        pass
    elsewhere = settings.model_copy(update={"ground_port": 1024})
    with LocalServices(elsewhere, services=services, reuse=True) as second:
        assert second.attached
        assert second.settings.ground_port == settings.ground_port
        ObjectStore.from_settings(settings).put("seen", b"by both")
    assert is_running(settings.home, ground(settings))


def test_a_port_held_by_a_stranger_is_named_with_the_remedy(prepared: Settings) -> None:
    with socket.socket() as stranger:
        stranger.bind((LOOPBACK, prepared.ground_port))
        stranger.listen()
        with (
            pytest.raises(ConfigurationError) as refusal,
            LocalServices(prepared, services=(ground(prepared),)),
        ):
            pass
    message = str(refusal.value)
    assert str(prepared.ground_port) in message
    assert str(os.getpid()) in message
    assert "ML_PLATFORM_GROUND_PORT" in message
    assert not list((prepared.home / "run").glob("*.json"))


def test_a_service_that_ends_is_reported_with_its_last_words(prepared: Settings) -> None:
    script = "import sys; print('the key to the matter'); sys.exit(3)"
    broken = Service("broken", "broken service", prepared.ground_port, "/", (sys.executable, "-c", script), {})
    with (
        pytest.raises(ServiceUnavailableError, match=r"(?s)broken service: ended with code 3.*the key to the matter"),
        LocalServices(prepared, services=(broken,)),
    ):
        pass


def test_other_commands_attach_to_what_runs(only_ground: LocalServices, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("AWS_ENDPOINT")]:
        monkeypatch.delenv(variable)
    with (
        pytest.raises(ServiceUnavailableError, match=r"SageMaker stand-in.*make dev"),
        attached(only_ground.settings),
    ):
        pass


def test_a_callers_own_choice_of_services_is_respected(prepared: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with attached(prepared):
        assert os.environ["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"


def test_nothing_of_a_persons_aws_configuration_reaches_the_services(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "secret")
    environment = for_children(os.environ, {"AWS_ACCESS_KEY_ID": "local"})
    assert {name: value for name, value in environment.items() if name.startswith("AWS_")} == {
        "AWS_ACCESS_KEY_ID": "local"
    }
    with exported({"AWS_ACCESS_KEY_ID": "local"}):
        assert "AWS_PROFILE" not in os.environ
    assert os.environ["AWS_PROFILE"] == "production"


def test_images_map_to_the_containers_own_entry_points(prepared: Settings) -> None:
    commands = image_commands(prepared)
    assert commands[prepared.training_image]["train"][1:] == ["-m", "ml_platform.containers.training", "train"]
    assert commands[prepared.serving_image]["serve"][1:] == ["-m", "ml_platform.containers.serving", "serve"]
    one_image = prepared.model_copy(update={"serving_image": prepared.training_image})
    assert set(image_commands(one_image)[prepared.training_image]) == {"train", "serve"}


def test_the_log_before_is_kept(prepared: Settings) -> None:
    for _ in range(2):
        with LocalServices(prepared, services=(ground(prepared),)):
            pass
    assert {path.name for path in Path(prepared.home / "logs").iterdir()} == {"ground.log", "ground.previous.log"}
