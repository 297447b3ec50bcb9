"""The table of moto's net, by hand: ``python -m tests.foreign.moto [--as-written]``.

The second form leaves out nothing and repairs nothing, to see what moto's tests say as moto wrote them.
"""

import sys
import tempfile
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.foreign.moto.net import deselected, run

FINE = ("passed", "skipped", "left out")


def main(arguments: list[str]) -> int:
    """Run the net, print what became of its tests; return 1 when one failed that is not left out."""
    as_written = "--as-written" in arguments
    console = Console(highlight=False)
    console.print("Running moto's tests against services of their own; this takes about a minute.")
    kinds = {} if as_written else deselected()
    left_out = [test for tests in kinds.values() for test in tests]
    with tempfile.TemporaryDirectory() as folder:
        outcomes = run(Path(folder), left_out, repaired=not as_written)
    failed = {test: outcome for test, outcome in outcomes.items() if outcome not in FINE}
    table = Table("tests", "what became of them", box=None, pad_edge=False)
    counted = Counter(outcomes.values())
    for outcome in ("passed", "skipped"):
        table.add_row(str(counted[outcome]), outcome)
    table.add_row(str(len(failed)), "failed")
    for kind, tests in kinds.items():
        table.add_row(str(len(tests)), f"left out: {kind}")
    console.print(table)
    for test, outcome in failed.items():
        console.print(f"{test}: {outcome.splitlines()[0]}", markup=False)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
