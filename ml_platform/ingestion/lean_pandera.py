"""Import pandera's rules for Polars without PySpark and Hypothesis, which it loads wherever they are installed.

It prepares PySpark's frames, and makes example data with Hypothesis. We check Polars frames and make no examples:
0.5 s of CPU, in the first landing of every process.
"""

import importlib
import sys

_COMPANIONS = ("pyspark", "hypothesis")


def import_lean_pandera() -> None:
    """Import ``pandera.polars`` as if its companions were not installed; they can be imported afterwards."""
    hidden = [name for name in _COMPANIONS if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        importlib.import_module("pandera.polars")
        # Otherwise loaded by the first frame that is checked, and Hypothesis with it.
        importlib.import_module("pandera.backends.polars.builtin_checks")
    finally:
        for name in hidden:
            del sys.modules[name]
