"""Processes the command line starts: their records on disk, stopping them whole, and who holds a port.

A record survives the process that wrote it, so that the next command recognises what a killed one left
behind. A process is known by its id *and* its start time: ids are used again, start times are not.
"""

import json
import os
import socket
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import psutil

LOOPBACK = "127.0.0.1"
# Linux counts start times in ticks of 10 ms, from a boot time that clock corrections move by a little.
START_TIME_TOLERANCE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """One process we started, as kept in ``<home>/run/<name>.json``."""

    name: str
    pid: int
    started: float
    port: int | None = None

    @classmethod
    def of(cls, name: str, pid: int, port: int | None = None) -> Self:
        """Describe a living process."""
        return cls(name, pid, float(psutil.Process(pid).create_time()), port)

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Return the record in a file; None when there is none, or none that can be read."""
        try:
            return cls(**json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, path: Path) -> None:
        """Write the record so that a reader never sees half of it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps(asdict(self)))
        partial.replace(path)

    def alive(self) -> bool:
        """Whether this very process still runs; a zombie does not."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < START_TIME_TOLERANCE_SECONDS
            return bool(same and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False


def descendants(pid: int) -> list[psutil.Process]:
    """Return a process, its children's children, and whoever else is left in the session it leads.

    The session finds the orphans of a killed process, which no longer count as its descendants.
    """
    found: dict[int, psutil.Process] = {}
    try:
        root = psutil.Process(pid)
        found = {process.pid: process for process in (root, *root.children(recursive=True))}
    except psutil.NoSuchProcess:
        pass
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == pid:
                found.setdefault(process.pid, process)
        except (ProcessLookupError, PermissionError):
            continue
    return [process for process in found.values() if not _ended(process)]


def left_behind(record: ProcessRecord) -> list[psutil.Process]:
    """Return what still runs of a recorded process: itself, or the orphans in its session when it was killed."""
    if record.alive():
        return descendants(record.pid)
    # The id may belong to somebody else by now: after a restart of the machine, or by simple reuse.
    if record.started < psutil.boot_time() or psutil.pid_exists(record.pid):
        return []
    return descendants(record.pid)


def stop(processes: Iterable[psutil.Process], grace_seconds: float = 10) -> None:
    """Ask processes to end, and end those that have not after ``grace_seconds``."""
    remaining = list(processes)
    for ask in (psutil.Process.terminate, psutil.Process.kill):
        for process in remaining:
            try:
                ask(process)
            except psutil.NoSuchProcess:
                continue
        remaining = _still_running(remaining, grace_seconds)


def _still_running(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait until processes have ended, and return those that have not.

    ``psutil.wait_procs`` would wait for zombies, which in a container without an init process stay for ever.
    """
    deadline = time.monotonic() + seconds
    while (remaining := [process for process in processes if not _ended(process)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return remaining


def _ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def stop_tree(pid: int, grace_seconds: float = 10) -> None:
    """Ask a process to end, then end whatever it left running.

    The process is asked first and alone: it knows best how to stop its own children in order.
    """
    tree = descendants(pid)
    stop([process for process in tree if process.pid == pid], grace_seconds)
    stop([*tree, *descendants(pid)], grace_seconds=2)


def port_is_free(port: int) -> bool:
    """Whether a server could listen on a loopback port now."""
    with socket.socket() as probe:
        # Without this a port whose last connections are still closing down would look taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def port_holder(port: int) -> psutil.Process | None:
    """Return the process that listens on a port; None when nobody does or we may not know."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return None
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
            try:
                return psutil.Process(connection.pid)
            except psutil.NoSuchProcess:
                return None
    return None


def describe_holder(port: int) -> str:
    """Say who holds a port, as far as it can be seen."""
    holder = port_holder(port)
    if holder is None:
        return "another process (its id is not visible to this user)"
    try:
        return f"process {holder.pid} ({' '.join(holder.cmdline())[:120] or holder.name()})"
    except psutil.Error:
        return f"process {holder.pid}"
