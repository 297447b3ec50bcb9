"""``ml-platform local fault``: asks the running stand-in to let things go wrong. What can, the stand-in knows."""

import http.client
import json
import sys
from typing import Any

from rich.table import Table

from ml_platform.cli.console import out
from ml_platform.cli.processes import LOOPBACK
from ml_platform.cli.service_specs import is_running, running_settings, stand_in
from ml_platform.core.errors import ConfigurationError, ServiceUnavailableError
from ml_platform.core.settings import Settings

PATH = "/_stand-in/faults"


def run_add(kind: str, target: str, times: int | None, parameters: dict[str, Any]) -> None:
    """Add a fault."""
    given = {name: value for name, value in parameters.items() if value is not None}
    number = add_fault(kind, target, given, times)
    out.print(f"Fault {number} waits. `ml-platform local fault clear` removes it.")


def add_fault(kind: str, target: str, parameters: dict[str, Any], times: int | None = None) -> int:
    """Let something go wrong from now on, ``times`` times or until it is cleared; return the fault's number."""
    answer = _ask("POST", PATH, {"kind": kind, "target": target, "times": times, "parameters": parameters})
    number: int = answer["ids"][0]
    return number


def clear_fault(number: int | None) -> int:
    """Remove one fault, or all; return how many there were."""
    answer = _ask("DELETE", PATH if number is None else f"{PATH}/{number}")
    removed: int = answer["removed"]
    return removed


def run_list(*, as_json: bool) -> None:
    """Show faults and kinds."""
    answer = _ask("GET", PATH)
    if as_json:
        sys.stdout.write(json.dumps(answer) + "\n")
        return
    table = Table("", "fault", "target", "times", "with", box=None, pad_edge=False)
    for fault in answer["faults"]:
        how = ", ".join(f"{name} {value}" for name, value in fault["parameters"].items())
        table.add_row(str(fault["id"]), fault["kind"], fault["target"], str(fault["times"] or "always"), how)
    out.print(table if answer["faults"] else "No fault waits.")
    out.print("\nKinds, for `ml-platform local fault add KIND --target PATTERN`:")
    kinds = Table.grid("", "", padding=(0, 2))
    for kind, meaning in answer["kinds"].items():
        kinds.add_row(f"  {kind}", meaning)
    out.print(kinds)


def run_clear(number: int | None) -> None:
    """Remove one fault or all of them."""
    out.print(f"Removed: {clear_fault(number)}")


def _ask(method: str, path: str, document: Any = None) -> dict[str, Any]:
    settings = running_settings(Settings.load())
    if not is_running(settings.home, stand_in(settings)):
        raise ServiceUnavailableError(
            f"The SageMaker stand-in does not run in {settings.home}. Start it with `ml-platform local up`."
        )
    connection = http.client.HTTPConnection(LOOPBACK, settings.sagemaker_port, timeout=10)
    try:
        connection.request(method, path, None if document is None else json.dumps(document))
        reply = connection.getresponse()
        answer: dict[str, Any] = json.loads(reply.read())
    finally:
        connection.close()
    if reply.status != http.client.OK:
        raise ConfigurationError(answer.get("error", f"The stand-in answered {reply.status}."))
    return answer
