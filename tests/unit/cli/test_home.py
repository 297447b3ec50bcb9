"""The home: made once, checked each time, and never taken from under a person's own changes."""

import multiprocessing
import os
import signal
from datetime import date
from pathlib import Path

import pytest
import yaml
from dagster import DagsterInstance

from ml_platform.cli.home import (
    AlreadyRunningError,
    check_home,
    checkout,
    first_day,
    locate_home,
    only_one,
    prepare_home,
)
from ml_platform.core.errors import ConfigurationError
from ml_platform.resources.run_launcher import LocalRunLauncher


def test_the_history_starts_on_a_monday_and_the_demo_ends_in_the_past() -> None:
    for day in range(1, 15):
        today = date(2026, 3, day)
        start = first_day(today)
        assert start.weekday() == 0
        assert 126 <= (today - start).days < 133


def test_a_new_home_gets_its_files_and_dagster_accepts_them(home: Path) -> None:
    settings = prepare_home()
    assert settings.home == home
    assert settings.history_start.weekday() == 0
    with DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        assert instance.telemetry_enabled is False
        assert instance.run_monitoring_enabled
        assert instance.run_coordinator.dequeue_interval_seconds == 1


def test_a_persons_changes_are_kept(home: Path) -> None:
    settings = prepare_home()
    path = settings.dagster_home / "dagster.yaml"
    changed = path.read_text().replace("max_retries: 2", "max_retries: 9").replace("enabled: false", "enabled: true")
    path.write_text(changed)
    (home / "platform.env").write_text("ML_PLATFORM_HISTORY_START=2025-01-06\n")
    assert prepare_home().history_start == date(2025, 1, 6)
    assert path.read_text() == changed


def earlier(home: Path, text: str) -> Path:
    """A home whose ``dagster.yaml`` an earlier version wrote."""
    path = prepare_home().dagster_home / "dagster.yaml"
    path.write_text(text)
    assert path.is_relative_to(home)
    return path


def test_a_home_of_an_earlier_version_gets_the_new_sections_once_and_is_told(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = "# mine\nrun_monitoring:\n  enabled: true # as I like it\n"
    path = earlier(home, before)
    prepare_home()
    said = " ".join(capsys.readouterr().out.split())
    assert "run_launcher and run_retries" in said
    after = path.read_text()
    assert after.startswith(before)
    with DagsterInstance.from_config(str(path.parent)) as instance:
        assert isinstance(instance.run_launcher, LocalRunLauncher)
        assert (instance.run_retries_enabled, instance.run_retries_max_retries) == (True, 2)
    path.write_text(after[: after.index("run_retries")])
    prepare_home()
    assert "run_retries" not in path.read_text()
    assert capsys.readouterr().out == ""


def test_a_section_of_ones_own_is_not_given_a_second_time(home: Path) -> None:
    path = earlier(home, "run_retries:\n  enabled: false\n")
    prepare_home()
    told = yaml.safe_load(path.read_text())
    assert told["run_retries"] == {"enabled": False}
    assert told["run_launcher"]["class"] == "LocalRunLauncher"


@pytest.mark.parametrize("text", ["run_retries: [", "- a list\n"])
def test_a_file_that_dagster_could_not_read_is_told_and_left_as_it_is(home: Path, text: str) -> None:
    path = earlier(home, text)
    with pytest.raises(ConfigurationError, match=r"dagster\.yaml"):
        prepare_home()
    assert path.read_text() == text


def test_without_a_choice_the_home_is_in_the_checkout_whatever_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ML_PLATFORM_HOME", "set, so that monkeypatch puts it back")
    monkeypatch.delenv("ML_PLATFORM_HOME")
    monkeypatch.chdir(tmp_path)
    root = checkout()
    assert root is not None
    assert locate_home() == root / ".ml_platform"
    assert os.environ["ML_PLATFORM_HOME"] == str(root / ".ml_platform")


def test_a_home_that_is_a_file_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"cannot be written to.*ML_PLATFORM_HOME"):
        check_home(tmp_path / "file")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_home_that_is_read_only_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigurationError, match="cannot be written to"):
        check_home(tmp_path / "home")


def test_a_full_disk_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"GB are free.*Free some space"):
        check_home(tmp_path, min_free_bytes=2**60)


def test_a_second_holder_is_refused_and_told_who_holds(tmp_path: Path) -> None:
    with (
        only_one(tmp_path, "demo"),
        pytest.raises(AlreadyRunningError, match=rf"process {os.getpid()}"),
        only_one(tmp_path, "demo"),
    ):
        pass
    with only_one(tmp_path, "demo"):
        pass


def hold_until_killed(home: Path, held: "multiprocessing.synchronize.Event") -> None:
    with only_one(home, "demo"):
        held.set()
        signal.pause()


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    held = spawn.Event()
    holder = spawn.Process(target=hold_until_killed, args=(tmp_path, held))
    holder.start()
    assert held.wait(30)
    with pytest.raises(AlreadyRunningError), only_one(tmp_path, "demo"):
        pass
    holder.kill()
    holder.join()
    with only_one(tmp_path, "demo"):
        pass
