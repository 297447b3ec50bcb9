"""Runs of a module's own model in a process of their own, which is killed half way."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import killed_in_the_end

ROOT = Path(__file__).resolve().parents[2]


def killed_when(condition: Callable[[], Any], model: str, **run: Any) -> None:
    """Start a run and kill it, without a last word, as soon as the condition holds."""
    order = {"models": [model], "runs": [run]}
    started = subprocess.Popen(
        [sys.executable, "-m", "tests.loop.run_assets", json.dumps(order)],
        cwd=ROOT,
        env=dict(os.environ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with killed_in_the_end(started) as process:
        deadline = time.monotonic() + 120
        while not condition():
            assert process.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.005)
