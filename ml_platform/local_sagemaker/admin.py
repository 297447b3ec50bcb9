"""The stand-in's own HTTP interface, which AWS does not have: faults to come, and the clock.

``/_stand-in/faults``: GET lists, POST adds one fault or a list of them, DELETE removes all (``/faults/<id>``: one).
``/_stand-in/clock``: GET tells, POST ``{"advance_seconds": 600}`` skips waits (alarms and scaling have acted
when it answers), ``{"scale": 0.1}`` changes the pace, ``{"frozen": true}`` stops it: then waits end, and periods of
alarms go by, by ``advance_seconds`` only.
``/_stand-in/reset``: POST stops and forgets everything (``reset``).
Answers are JSON; a refusal is ``{"error": "..."}``. Only programs of this machine are served, never web pages.
"""

import json
from collections.abc import Mapping
from typing import Any

from ml_platform.local_sagemaker.faults import KINDS, FaultError
from ml_platform.local_sagemaker.protocol import Reply
from ml_platform.local_sagemaker.service import Service

PREFIX = "/_stand-in/"
MOST_SECONDS = 10_000_000
MOST_SCALE = 100


class RefusedError(Exception):
    """The request cannot be served; the message says why."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


async def answer(service: Service, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
    """Answer one request below ``/_stand-in/``; never raises for what a caller sent."""
    if "origin" in headers:
        # A page of any site may send a POST to this address through its reader's browser.
        return _reply(403, {"error": "This interface is for programs, not for web pages."})
    try:
        return _reply(200, await _serve(service, method, path.removeprefix(PREFIX).split("/"), body))
    except RefusedError as error:
        return _reply(error.status, {"error": str(error)})
    except FaultError as error:
        return _reply(400, {"error": str(error)})


async def _serve(service: Service, method: str, parts: list[str], body: bytes) -> dict[str, Any]:
    match method, parts:
        case "GET", ["faults"]:
            return {"faults": [fault.as_json() for fault in service.faults.list()], "kinds": KINDS}
        case "POST", ["faults"]:
            given = _document(body)
            return {"ids": service.faults.add_all(given if isinstance(given, list) else [given])}
        case "DELETE", ["faults"]:
            return {"removed": service.faults.clear()}
        case "DELETE", ["faults", number] if number.isdecimal() and number.isascii():
            return {"removed": service.faults.clear(int(number))}
        case "GET", ["clock"]:
            return _tell(service)
        case "POST", ["clock"]:
            return await _set_clock(service, _document(body))
    raise RefusedError(f"There is no {method} {PREFIX}{'/'.join(parts)}", 404)


async def _set_clock(service: Service, given: Any) -> dict[str, Any]:
    if not isinstance(given, dict) or not given or given.keys() - {"advance_seconds", "scale", "frozen"}:
        raise RefusedError('The clock takes {"advance_seconds": seconds}, {"scale": factor}, {"frozen": true}.')
    for name, most in (("advance_seconds", MOST_SECONDS), ("scale", MOST_SCALE)):
        value = given.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
            raise RefusedError(f"`{name}` is a number from 0 to {most}.")
    if not isinstance(given.get("frozen", False), bool):
        raise RefusedError("`frozen` is true or false.")
    if "frozen" in given:
        stop_or_go = service.clock.freeze if given["frozen"] else service.clock.thaw
        stop_or_go()
    if "scale" in given:
        service.clock.rescale(given["scale"])
    await service.clock.pass_by(given.get("advance_seconds", 0))
    return _tell(service)


def _tell(service: Service) -> dict[str, Any]:
    clock = service.clock
    return {"scale": clock.scale, "frozen": clock.frozen, "elapsed_seconds": round(clock.elapsed_seconds, 3)}


def _document(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"The body is not JSON: {error}") from error


def _reply(status: int, document: dict[str, Any]) -> Reply:
    return Reply(status, json.dumps(document).encode(), {"content-type": "application/json"})
