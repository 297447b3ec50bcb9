"""The ``ml-platform`` command: what can be asked for, and how its errors are told.

Each command lives in a module of its own, imported when it is called: ``--help`` answers at once.
"""

from pathlib import Path
from typing import Annotated

import typer

from ml_platform.cli.home import only_one, prepare_home

app = typer.Typer(name="ml-platform", no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.command()
def demo() -> None:
    """Run the whole loop on this machine: train, gate, deploy, monitor, retrain. Under five minutes."""
    from ml_platform.cli.demo import run_demo

    settings = prepare_home()
    with only_one(settings.home, "demo"):
        run_demo(settings)


@app.command()
def handbook(data: Annotated[Path, typer.Option(help="handbook_transactions.parquet")]) -> None:
    """Run the Fraud Detection Handbook's data through the platform and print our figures beside its own."""
    from ml_platform.cli.handbook import run_handbook

    run_handbook(prepare_home(), data)
