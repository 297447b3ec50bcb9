"""``ml-platform dev``: the local services and Dagster in the foreground, until Ctrl-C."""

import io
from pathlib import Path

from ml_platform.cli.console import err, out, progress
from ml_platform.cli.home import prepare_home
from ml_platform.cli.service_specs import dagster_ui
from ml_platform.cli.services import LocalServices
from ml_platform.cli.supervisor import log_file
from ml_platform.core.clock import Sleep, sleep


def run_dev(wait: Sleep = sleep) -> None:
    """Run everything until it is interrupted or a part of it ends."""
    settings = prepare_home()
    services = LocalServices(settings, on_top=(dagster_ui(settings),), report=progress)
    try:
        with services:
            out.print(f"\n  Dagster UI   [bold]http://127.0.0.1:{settings.dagster_port}[/bold]")
            out.print(f"  State, logs  {settings.home}")
            out.print("  Ctrl-C stops all of it; the next start finds everything as it was.\n")
            _follow(services, log_file(settings.home, "dagster"), wait)
    except KeyboardInterrupt:
        err.print("Stopped.")


def _follow(services: LocalServices, log: Path, wait: Sleep) -> None:
    """Show Dagster's log as it grows, and end with the error of the first service that ends."""
    with log.open(errors="replace") as lines:
        lines.seek(0, io.SEEK_END)
        while True:
            services.check()
            for line in lines:
                err.print(line.rstrip("\n"), markup=False, soft_wrap=True, style="dim")
            wait(0.5)
