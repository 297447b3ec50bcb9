"""What people see: results on standard output, progress and errors on standard error."""

from rich.console import Console

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def progress(message: str) -> None:
    """Say in one line what happens now."""
    err.print(f"[dim]· {message}[/dim]")


def failure(message: str) -> None:
    """Tell an error as one paragraph."""
    err.print("[bold red]Error[/bold red] ", end="")
    # No markup: paths and messages of other programs may contain brackets.
    err.print(message, markup=False, soft_wrap=True)
