"""``make bench-features``: computing, joining, serving and materializing features, each beside its reference.

python -m bench.features                     every section, at the sizes of the goals
python -m bench.features --quick compute     one section, smaller
python -m bench.features --full compute      with 50 M rows too
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from rich.console import Console

from bench.report import Measure, conclude

SECTIONS = ("compute", "training_set", "online", "materialization")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sections asked for, print what they measured, and return 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description="What features cost.")
    parser.add_argument("sections", nargs="*", help=f"of {', '.join(SECTIONS)}; all of them unless named")
    parser.add_argument("--quick", action="store_true", help="fewer rows; goals are those of the full size")
    parser.add_argument("--full", action="store_true", help="compute: 50 M rows too (24 GB, minutes)")
    asked = parser.parse_args(arguments)
    unknown = sorted(set(asked.sections) - set(SECTIONS))
    if unknown:
        parser.error(f"there is no section {', '.join(unknown)}; choose from {', '.join(SECTIONS)}")
    measures: list[Measure] = []
    for section in asked.sections or SECTIONS:
        Console(stderr=True).print(f"[dim]{section} ...[/dim]")
        options = {"full": True} if asked.full and section == "compute" else {}
        measures += import_module(f"bench.features_{section}").figures(quick=asked.quick, **options)
    notes = ["CPU seconds of the measured part, in processes of their own; sizes are in the measures' names."]
    return conclude("features", measures, notes, {"quick": asked.quick})


if __name__ == "__main__":
    sys.exit(main())
