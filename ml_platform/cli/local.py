"""``ml-platform local``: what can be asked for of SageMaker on this machine, without the rest of the platform.

What the commands do is in ``local_services`` and ``local_faults``, imported when they are called.
"""

from pathlib import Path
from typing import Annotated

import typer

local = typer.Typer(
    name="local",
    help="SageMaker, S3 and their neighbours on this machine, for any program that uses boto3.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
fault = typer.Typer(name="fault", help="Let things go wrong on demand.", no_args_is_help=True, rich_markup_mode="rich")
local.add_typer(fault)

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


@local.command()
def up(
    images: Annotated[
        Path | None,
        typer.Option(help="JSON: image URI -> {train: argv, serve: argv}. Kept with the state.", exists=True),
    ] = None,
) -> None:
    """Start the services in the background; they stay when the terminal closes.

    Then point this shell at them: [cyan]eval "$(ml-platform local env)"[/cyan]
    """
    from ml_platform.cli.local_services import run_up

    run_up(images)


@local.command()
def down() -> None:
    """Stop the services. Their state stays for the next start."""
    from ml_platform.cli.local_services import run_down

    run_down()


@local.command()
def env() -> None:
    """Print what a shell needs to talk to the services: [cyan]eval "$(ml-platform local env)"[/cyan]."""
    from ml_platform.cli.local_services import run_env

    run_env()


@local.command()
def status(*, as_json: AsJson = False) -> None:
    """Show which services run and where. Ends with code 1 unless all of them do."""
    from ml_platform.cli.local_services import run_status

    raise typer.Exit(run_status(as_json=as_json))


@local.command()
def reset(*, yes: Yes = False) -> None:
    """Delete all buckets, jobs, models and endpoints; services that `local up` started start again, empty."""
    from ml_platform.cli.local_services import run_reset

    run_reset(yes=yes)


@local.command()
def logs(
    service: Annotated[str, typer.Argument(help="sagemaker or ground.")] = "sagemaker",
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as the log grows, until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines.")] = 50,
) -> None:
    """Show what a service printed. What jobs and model servers print is in CloudWatch Logs.

    Examples: [cyan]ml-platform local logs -f[/cyan]   [cyan]ml-platform local logs ground -n 200[/cyan]
    """
    from ml_platform.cli.local_services import run_logs

    run_logs(service, lines, follow=follow)


@fault.command("add")
def fault_add(  # noqa: PLR0913 - the options of one command
    kind: Annotated[str, typer.Argument(help="What goes wrong; `fault list` names the kinds.")],
    target: Annotated[str, typer.Option(help="Pattern of names, e.g. CreateTrainingJob or my-endpoint.")] = "*",
    times: Annotated[int, typer.Option(min=1, help="How often.")] = 1,
    *,
    always: Annotated[bool, typer.Option("--always", help="Until it is cleared, instead of --times.")] = False,
    share: Annotated[float | None, typer.Option(help="Part of the occasions that go wrong, 0 to 1.")] = None,
    seconds: Annotated[float | None, typer.Option(help="How slow.")] = None,
    status: Annotated[int | None, typer.Option(help="HTTP status of an error.")] = None,
    message: Annotated[str | None, typer.Option(help="What a failing model says.")] = None,
    state: Annotated[str | None, typer.Option(help="Where a hold keeps a job or server, e.g. Uploading.")] = None,
) -> None:
    """Let something go wrong.

    Examples: [cyan]ml-platform local fault add throttling --target CreateTrainingJob --times 3[/cyan]
    [cyan]ml-platform local fault add error-response --target my-endpoint --always --share 0.2[/cyan]
    [cyan]ml-platform local fault add hold --target my-job --state Uploading[/cyan] and, to let it go on,
    [cyan]ml-platform local fault clear[/cyan]
    """
    from ml_platform.cli.local_faults import run_add

    parameters = {"share": share, "seconds": seconds, "status": status, "message": message, "state": state}
    # A hold lasts until it is cleared, however often it is looked at: a number would say what is not so.
    run_add(kind, target, None if always or kind == "hold" else times, parameters)


@fault.command("list")
def fault_list(*, as_json: AsJson = False) -> None:
    """Show the faults that wait, and the kinds there are."""
    from ml_platform.cli.local_faults import run_list

    run_list(as_json=as_json)


@fault.command("clear")
def fault_clear(
    number: Annotated[int | None, typer.Argument(help="Only this one. Default: all.")] = None,
) -> None:
    """Remove faults."""
    from ml_platform.cli.local_faults import run_clear

    run_clear(number)
