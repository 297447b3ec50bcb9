"""What a training job tells the Dagster run that waits for it: messages in the Pipes protocol, as lines of stdout.

Only when the job was started by such a run, and told to write there. The protocol is five lines of JSON, so the image
does without ``dagster-pipes``; standard output needs no SDK, no credentials and no network, so the same container
reports from an isolated network, on a laptop and on AWS, and a run that adopts the job later reads the same lines.
"""

import base64
import json
import os
import sys
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TextIO

CONTEXT_VARIABLE = "DAGSTER_PIPES_CONTEXT"
MESSAGES_VARIABLE = "DAGSTER_PIPES_MESSAGES"
PROTOCOL = {"__dagster_pipes_version": "0.1"}


@dataclass
class Report:
    """Collects figures, and sends them as the asset's metadata when the job has done its work."""

    asset_key: str | None = None
    stream: TextIO = field(default_factory=lambda: sys.stdout)
    figures: dict[str, int | float] = field(default_factory=dict)

    def add(self, name: str, figure: float) -> None:
        """Note a figure; integers stay integers."""
        self.figures[name] = figure

    def send(self, method: str, params: Mapping[str, Any] | None) -> None:
        """Write one message; nothing when nobody listens."""
        if self.asset_key is not None:
            self.stream.write(json.dumps({**PROTOCOL, "method": method, "params": params}) + "\n")
            self.stream.flush()


@contextmanager
def report_to_dagster(environment: Mapping[str, str] = os.environ) -> Iterator[Report]:
    """Open a report; its figures are sent when the block ends well, its error when it does not."""
    report = Report(asset_key=_asset_key(environment))
    report.send("opened", {})
    try:
        yield report
    except Exception as error:
        report.send("closed", {"exception": _described(error)})
        raise
    metadata = {
        name: {"raw_value": figure, "type": "int" if isinstance(figure, int) else "float"}
        for name, figure in report.figures.items()
    }
    params = {"asset_key": report.asset_key, "metadata": metadata, "data_version": None}
    report.send("report_asset_materialization", params)
    report.send("closed", {})


def _asset_key(environment: Mapping[str, str]) -> str | None:
    """Return the asset that the run makes, or None when there is no run that reads our standard output."""
    try:
        context = _decoded(environment[CONTEXT_VARIABLE])
        messages = _decoded(environment[MESSAGES_VARIABLE])
        (key,) = context["data"]["asset_keys"]
    except (KeyError, TypeError, ValueError, zlib.error):
        return None
    return str(key) if messages.get("stdio") == "stdout" else None


def _decoded(value: str) -> dict[str, Any]:
    decoded = json.loads(zlib.decompress(base64.b64decode(value)))
    if not isinstance(decoded, dict):
        raise TypeError("not an object")
    return decoded


def _described(error: Exception) -> dict[str, Any]:
    # Without the stack: the log has it, and a message should stay one short line of it.
    return {"message": str(error)[:1000], "stack": [], "name": type(error).__name__, "cause": None, "context": None}
