"""The code keeps its layers and its habits."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, tracked

MAX_LINES = 400
# What a code location must not pay for: Feast alone costs seven times Dagster's own import.
HEAVY = ("feast", "lightgbm", "sagemaker", "pandas", "polars", "sklearn", "pyarrow")
FORBIDDEN_NAMES = {"utils.py", "helpers.py", "common.py", "manager.py", "misc.py"}

LOAD = """
import sys
import dagster
before = set(sys.modules)
from ml_platform.definitions import defs
defs().resolve_asset_graph()
print(*sorted({name.split(".")[0] for name in set(sys.modules) - before}))
"""


def python_files() -> list[Path]:
    return tracked("*.py")


def test_imports_keep_the_layers() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    lint = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert lint.returncode == 0, lint.stdout + lint.stderr


def test_loading_the_code_location_imports_nothing_heavy() -> None:
    load = subprocess.run([sys.executable, "-c", LOAD], cwd=ROOT, capture_output=True, text=True, check=False)
    assert load.returncode == 0, load.stderr
    assert sorted(set(HEAVY) & set(load.stdout.split())) == []


def test_no_file_is_too_long_to_be_read_at_once() -> None:
    lengths = {str(path.relative_to(ROOT)): path.read_text().count("\n") for path in python_files()}
    assert {path: lines for path, lines in lengths.items() if lines > MAX_LINES} == {}


def test_no_module_is_named_after_nothing() -> None:
    assert [path for path in python_files() if path.name in FORBIDDEN_NAMES] == []


def test_every_module_of_the_platform_says_what_it_is() -> None:
    silent = [path for path in tracked("ml_platform/*.py") if not re.match(r'(#!.*\n)?\s*r?"""', path.read_text())]
    assert silent == []


def test_the_library_does_not_print() -> None:
    prints = re.compile(r"^\s*print\(", re.MULTILINE)
    assert [path for path in tracked("ml_platform/*.py") if prints.search(path.read_text())] == []


@pytest.mark.parametrize(
    "trace",
    [
        pytest.param(r"/(?:home|Users)/[a-z][a-z0-9_-]+/|/root/|/work/", id="path of a machine"),
        pytest.param(
            r"https?://[^\s\"'/]*(?:pypi|artifactory|jfrog|codeartifact)[^\s\"'/]*/simple", id="package registry"
        ),
        pytest.param(r"AKIA[0-9A-Z]{16}|-----BEGIN [A-Z ]*PRIVATE KEY-----", id="credential"),
    ],
)
def test_nothing_of_a_machine_is_in_the_tree(trace: str) -> None:
    pattern = re.compile(trace.encode())
    found = [
        str(path.relative_to(ROOT))
        for path in tracked()
        if path != Path(__file__) and path.suffix not in {".png", ".parquet"} and pattern.search(path.read_bytes())
    ]
    assert found == []


def test_definitions_do_not_defer_annotations() -> None:
    """Dagster reads annotations at run time; deferred ones break resources and configs."""
    deferred = "from __future__ import annotations"
    folders = ("defs", "resources", "components")
    files = [path for folder in folders for path in tracked(f"ml_platform/{folder}/*.py")]
    assert [path for path in files if deferred in path.read_text()] == []
