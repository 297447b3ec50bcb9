"""The code location loads: in this process, in a fresh one, and the way Dagster's own services load it."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

ROOT = Path(__file__).resolve().parents[2]
# See filterwarnings in pyproject.toml.
KNOWN_WARNING = "ignore::DeprecationWarning:dagster_shared.dagster_model.pydantic_compat_layer"
LOAD = "from ml_platform.definitions import defs; defs().get_repository_def()"


def run_quietly(command: list[str], cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command in an environment that knows nothing of this machine's platform."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(cwd), **variables}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_every_definition_can_be_loaded(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)


def test_a_fresh_interpreter_loads_it_without_services_settings_or_warnings(tmp_path: Path) -> None:
    load = run_quietly([sys.executable, "-W", "error", "-W", KNOWN_WARNING, "-c", LOAD], tmp_path)
    assert load.returncode == 0, load.stderr
    assert load.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_dagster_validates_the_workspace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [str(Path(sys.executable).with_name("dagster")), "definitions", "validate", "-w", "workspace.yaml"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    validation = run_quietly(command, ROOT, DAGSTER_HOME=str(tmp_path), PYTHONWARNINGS="ignore")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    with capsys.disabled():
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        sys.stdout.write(f"\ndagster definitions validate: {spent:.1f} CPU s\n")
    assert validation.returncode == 0, validation.stderr
