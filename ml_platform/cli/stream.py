"""``ml-platform stream``: keep the exact windows up to date with the events of a stream, until Ctrl-C."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_platform.cli.console import out
from ml_platform.cli.services import attached
from ml_platform.core.errors import SourceDataError
from ml_platform.core.settings import Settings

if TYPE_CHECKING:
    from ml_platform.features.streaming.source import EventLog, Feed
    from ml_platform.features.streaming.worker import StreamWorker
    from ml_platform.ingestion.changes.change import Change


def run_stream(log: Path | None, kinesis: str | None, *, until_idle: bool) -> None:
    """Work on the log until Ctrl-C, or until nothing is left."""
    settings = Settings.load()
    # The other stores are reached without the local services.
    needs_aws = kinesis is not None or settings.online_store == "dynamodb"
    with attached(settings) if needs_aws else nullcontext():
        _stream(settings, _source(settings, log, kinesis), until_idle=until_idle)


def _source(settings: Settings, log: Path | None, kinesis: str | None) -> "EventLog":
    from ml_platform.features.streaming.source import EventLog, FedLog

    if kinesis is None:
        return EventLog(log or _default_log(settings))
    return FedLog(log or settings.home / "stream" / f"kinesis-{kinesis}.db", kinesis_feed(settings, kinesis))


def kinesis_feed(settings: Settings, stream: str) -> "Feed":
    """Return what fills a log from a Kinesis stream."""
    from ml_platform.ingestion.changes.kinesis import KinesisOrigin

    origin = KinesisOrigin(settings.region, stream, settings.source_columns)

    def feed(place: dict[str, Any]) -> Iterator[tuple[list[Mapping[str, Any]], dict[str, Any]]]:
        for batch in origin.batches(place):
            yield [_event(change, settings.source_columns) for change in batch.changes], batch.state

    return feed


def _event(change: "Change", columns: Mapping[str, str]) -> dict[str, Any]:
    """Return a change as the worker reads it; what is no payment or label keeps what it said, and is put aside."""
    from ml_platform.ingestion.source_columns import names_of

    if change.operation in ("delete", "unreadable"):
        return {"operation": change.operation, "transaction": change.key, "payload": change.payload}
    event: dict[str, Any] = {"transaction_id": change.key, "event_time": change.event_time}
    for column in ("customer_id", "terminal_id", "amount"):
        event[column] = next((change.row[name] for name in names_of(column, columns) if change.row.get(name)), None)
    if change.operation == "label":
        event |= {"label": int(change.label) if change.label in ("0", "1") else change.label}
        event |= {"known_time": change.known_time}
    return event


def _stream(settings: Settings, source: "EventLog", *, until_idle: bool) -> None:
    with out.status("Opening the online store ..."):
        from ml_platform.features.streaming.worker import open_worker

        worker = open_worker(settings)
    out.print("Streaming into the online store. Ctrl-C stops; nothing is lost or counted twice.")
    try:
        with out.status("Waiting for events") as line:
            worker.run(
                source,
                stop=lambda _: until_idle and source.acknowledged == source.newest,
                on_batch=lambda _: line.update(_state(worker, source)),
            )
    except KeyboardInterrupt:
        out.print("Stopped.")
    out.print(_state(worker, source))
    for sequence, reason in source.rejected()[-5:]:
        out.print(f"[yellow]message {sequence} was put aside:[/yellow] {reason}")


def run_stream_append(messages: Path, log: Path | None) -> None:
    """Append a file of JSON lines to the log.

    Raises:
        SourceDataError: When a line is no JSON object; nothing is appended then.
    """
    from ml_platform.features.streaming.source import EventLog

    settings = Settings.load()
    text = sys.stdin.read() if str(messages) == "-" else messages.read_text()
    rows = [_message(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    EventLog(log or _default_log(settings)).append(rows)
    out.print(f"Appended {len(rows)} messages.")


def _default_log(settings: Settings) -> Path:
    return settings.home / "stream" / "events.db"


def _message(number: int, line: str) -> dict[str, Any]:
    try:
        parsed = json.loads(line)
    except ValueError as error:
        raise SourceDataError(f"Line {number} is no JSON: {error}. Correct it; nothing was appended.") from error
    if not isinstance(parsed, dict):
        raise SourceDataError(f"Line {number} is no JSON object. Correct it; nothing was appended.")
    return parsed


def _state(worker: "StreamWorker", source: "EventLog") -> str:
    progress = worker.progress
    behind = source.newest - source.acknowledged
    waiting = f"; the store does not answer, {progress.retries} tries" if progress.last_error else ""
    return f"{progress.events} events, {progress.rejected} put aside, {behind} waiting{waiting}"
