"""Import Feast without the run-time type checks that it has ``typeguard`` write into its classes.

For each decorated class typeguard parses that class's module again and compiles a checked copy: 4 of the 6 CPU
seconds of ``import feast``. What the checks would find in our definitions, ``apply`` and the tests find too.
"""

import importlib
import sys
from typing import Any


def import_lean_feast() -> None:
    """Import Feast with ``typeguard.typechecked`` doing nothing meanwhile; without effect once Feast is imported."""
    if "feast" in sys.modules:
        return
    import typeguard

    original = typeguard.typechecked
    typeguard.typechecked = _unchecked
    try:
        importlib.import_module("feast")
    finally:
        typeguard.typechecked = original


def _unchecked(target: Any = None, **_options: Any) -> Any:
    """Stand in for ``typechecked``, with options or without."""
    return target if target is not None else lambda decorated: decorated
