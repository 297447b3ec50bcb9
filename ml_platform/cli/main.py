"""The ``ml-platform`` command: what can be asked for, and how its errors are told.

Each command lives in a module of its own, imported when it is called: ``--help`` answers at once.
"""

import logging
import signal
import sys
import threading
from datetime import datetime
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ml_platform.cli import console
from ml_platform.cli.features import features
from ml_platform.cli.home import locate_home, only_one, prepare_home
from ml_platform.cli.local import local
from ml_platform.core.errors import MLPlatformError

EPILOG = (
    "Start with [bold]ml-platform demo[/bold], then [bold]ml-platform dev[/bold] and look at what it did. "
    "State lives in .ml_platform; set ML_PLATFORM_HOME to keep it elsewhere."
)


class Commands(TyperGroup):
    """Tells the platform's own errors as one paragraph; anything else is a defect and keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        _end_cleanly_on_signals()
        _keep_other_peoples_warnings_quiet()
        try:
            return super().invoke(ctx)
        except MLPlatformError as error:
            console.failure(str(error))
            ctx.exit(1)


def _end_cleanly_on_signals() -> None:
    """Let SIGTERM and a closed terminal unwind the stack, so that services are stopped.

    Ctrl-C gets its default back: a shell that starts us in the background ignores it, and so would every child.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: sys.exit(128 + received))


def _keep_other_peoples_warnings_quiet() -> None:
    """Show no warnings of libraries: importing Feast turns all deprecations on. ``python -W default`` shows them."""
    if not sys.warnoptions:
        logging.captureWarnings(capture=True)
        logging.getLogger("py.warnings").propagate = False


app = typer.Typer(
    name="ml-platform",
    help="From raw payments to a monitored fraud model, on this machine or in AWS.",
    epilog=EPILOG,
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


app.add_typer(local)
app.add_typer(features)


def _print_version(wanted: bool) -> None:  # noqa: FBT001  # typer's callback signature
    if wanted:
        console.out.print(f"ml-platform {package_version('ml-platform')}")
        raise typer.Exit


@app.callback()
def main(
    *,
    version: Annotated[  # noqa: ARG001  # its callback prints and exits
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """From raw payments to a monitored fraud model, on this machine or in AWS."""
    # Every command works on the same home, whatever directory it is called from.
    locate_home()


Model = Annotated[str, typer.Argument(help="A folder under ml_platform/defs/models.")]


@app.command()
def demo() -> None:
    """Run the whole loop here: train, gate, deploy, monitor, retrain. Under ten minutes, no AWS account.

    What it did stays: look at it afterwards with [bold]ml-platform dev[/bold] and [bold]ml-platform status[/bold].
    """
    from ml_platform.cli.demo import run_demo

    settings = prepare_home()
    with only_one(settings.home, "demo"):
        run_demo(settings)


@app.command()
def dev() -> None:
    """Start local services and Dagster's UI; one Ctrl-C stops all of it.

    Ports are 5560, 5561 and 3000; another one, for example: [cyan]ML_PLATFORM_DAGSTER_PORT=3001 ml-platform dev[/cyan]
    """
    from ml_platform.cli.dev import run_dev

    run_dev()


@app.command()
def status(
    model: Annotated[str | None, typer.Argument(help="Only this model. Default: all.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show in one screen what is live and since when, the last gate, the last drift and what was decided.

    Examples: [cyan]ml-platform status[/cyan]   [cyan]ml-platform status card_fraud --json[/cyan]
    """
    from ml_platform.cli.status import run_status

    run_status(model, as_json=as_json)


@app.command()
def score(
    transaction: Annotated[typer.FileText, typer.Argument(help="JSON file; - reads standard input.")],
    model: Annotated[str, typer.Option(help="Which model's endpoint.")] = "card_fraud",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Score one transaction through the live endpoint, with the features it is served now.

    For example:

    [cyan]echo '{"transaction_id": "t-1", "customer_id": "12", "terminal_id": "345", "amount": 83.5,
    "event_time": "2026-03-30T22:15:00Z"}' | ml-platform score -[/cyan]
    """
    from ml_platform.cli.score import run_score

    run_score(transaction.read(), model, as_json=as_json)


@app.command()
def explain(
    decision_id: Annotated[str, typer.Argument(help="Transaction id of the decision.")],
    model: Annotated[str, typer.Option(help="Whose decision.")] = "card_fraud",
    on: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Day it was made: reads less.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show where a decision comes from: score, reasons, features, policy, package, approver, training set.

    Example: [cyan]ml-platform explain tx-00001234[/cyan]   [cyan]ml-platform explain tx-00001234 --json[/cyan]
    """
    from ml_platform.cli.explain import run_explain

    run_explain(decision_id, model, on, as_json=as_json)


@app.command()
def impact(
    table: Annotated[str, typer.Argument(help="payments/transactions or payments/fraud_labels.")],
    day: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="Day of the table.")],
    model: Annotated[str | None, typer.Option(help="Only this model. Default: all.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show what a day of source data went into: features, training sets, models, endpoints, decisions, batches.

    Example: [cyan]ml-platform impact payments/transactions 2026-02-03[/cyan]
    """
    from ml_platform.cli.impact import run_impact

    run_impact(table, day, model, as_json=as_json)


@app.command()
def stream(
    log: Annotated[Path | None, typer.Option(help="SQLite log of events. Default: stream/events.db.")] = None,
    kinesis: Annotated[str | None, typer.Option(help="Fill the log from this Kinesis stream.")] = None,
    append: Annotated[Path | None, typer.Option(help="Append this file of JSON lines (- for stdin) and end.")] = None,
    *,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="End when every event is done.")] = False,
) -> None:
    """Keep exact features up to date with a stream of payments and labels, event by event, until Ctrl-C.

    A payment is [cyan]{"transaction_id", "event_time", "customer_id", "terminal_id", "amount"}[/cyan]; a label has
    [cyan]"label"[/cyan] and [cyan]"known_time"[/cyan] too. Killed and started again, it goes on where it was.

    Examples: [cyan]ml-platform stream[/cyan]   [cyan]ml-platform stream --append payments.jsonl[/cyan]
    """
    from ml_platform.cli.stream import run_stream, run_stream_append

    if append:
        run_stream_append(append, log)
    else:
        run_stream(log, kinesis, until_idle=until_idle)


@app.command()
def approve(
    model: Model,
    *,
    version: Annotated[int | None, typer.Option(help="Package version. Default: the newest that is pending.")] = None,
    reject: Annotated[bool, typer.Option("--reject", help="Reject instead of approve.")] = False,
    reason: Annotated[str, typer.Option(help="Why; kept with the package. Needed with --reject.")] = "",
    as_person: Annotated[
        str | None, typer.Option("--as", help="Who decides, where AWS names no person. Default: this user.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
) -> None:
    """Approve or reject a model package after a look at its figures. An approved package is deployed.

    Who trained a model cannot approve it, and evidence that is stale is refused with the list of what changed.

    Examples: [cyan]ml-platform approve card_fraud[/cyan]   [cyan]ml-platform approve card_fraud --version 3 --reject
    --reason "calibration"[/cyan]
    """
    from ml_platform.cli.approve import run_approve

    run_approve(model, version, reject=reject, reason=reason, yes=yes, as_person=as_person)


@app.command()
def card(
    model: Model,
    *,
    version: Annotated[int | None, typer.Option(help="Package version. Default: the newest.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Where to write the page. Default: <model>-v<version>.html.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the card in SageMaker's schema instead.")] = False,
) -> None:
    """Write the model card of a version as a page that a person reads.

    Examples: [cyan]ml-platform card card_fraud[/cyan]   [cyan]ml-platform card card_fraud --version 2 --json[/cyan]
    """
    from ml_platform.cli.card import run_card

    run_card(model, version, output, as_json=as_json)


@app.command()
def audit(
    model: Annotated[str | None, typer.Argument(help="Only this model. Default: all.")] = None,
    *,
    export: Annotated[Path | None, typer.Option(help="Write all records to this file, as JSON lines.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Only say whether the trail is whole.")] = False,
) -> None:
    """Show who registered, approved, rejected, deployed or rolled back what, when and why. Exits with 1 when altered.

    Examples: [cyan]ml-platform audit[/cyan]   [cyan]ml-platform audit --verify[/cyan]   [cyan]ml-platform audit
    --export audit.jsonl[/cyan]
    """
    from ml_platform.cli.audit import run_audit

    run_audit(model, export, verify=verify)


@app.command()
def rollback(
    model: Model,
    *,
    version: Annotated[int | None, typer.Option(help="Only if this version is live. Default: whatever is.")] = None,
    reason: Annotated[str, typer.Option(help="Why; kept with the package that is rejected.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
) -> None:
    """Bring the approved version before the live one back, and reject the live one. Safe to repeat.

    Example: [cyan]ml-platform rollback card_fraud --reason "declines too many"[/cyan]
    """
    from ml_platform.cli.rollback import run_rollback

    run_rollback(model, version, reason=reason, yes=yes)


@app.command()
def refit(
    model: Model,
    *,
    version: Annotated[int | None, typer.Option(help="Package version. Default: the newest.")] = None,
    job: Annotated[bool, typer.Option("--job", help="As a SageMaker job: needs no right to rows.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Fit a registered model again, from its manifest, and compare the bytes. Ends with 1 when they differ.

    Example: [cyan]ml-platform refit card_fraud --version 3[/cyan]
    """
    from ml_platform.cli.refit import run_refit

    raise typer.Exit(run_refit(model, version, as_job=job, as_json=as_json))


@app.command()
def compare(
    model: Model,
    before: Annotated[int, typer.Argument(help="Package version.")],
    after: Annotated[int, typer.Argument(help="The other version.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show what changed between two versions: data, specification, parameters, code, libraries, figures.

    Example: [cyan]ml-platform compare card_fraud 2 3[/cyan]
    """
    from ml_platform.cli.compare import run_compare

    run_compare(model, before, after, as_json=as_json)


@app.command()
def doctor() -> None:
    """Check this machine: Python, packages, ports, disk, memory, left-over processes. Says what to do."""
    from ml_platform.cli.doctor import run_doctor

    raise typer.Exit(run_doctor())


@app.command()
def handbook(
    data: Annotated[Path, typer.Option(help="The handbook's transactions as Parquet.")],
) -> None:
    """Run the Fraud Detection Handbook's data through the platform; print our figures beside its published ones.

    Example: [cyan]ml-platform handbook --data handbook_transactions.parquet[/cyan]
    """
    from ml_platform.cli.handbook import run_handbook

    raise typer.Exit(run_handbook(data))
