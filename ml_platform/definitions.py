"""What Dagster loads: everything under ``defs``. Nothing else happens here."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg


@contextmanager
def kept_for_good() -> Iterator[None]:
    """Have the collector leave alone, now and later, what is loaded in the block.

    It lives as long as the process: walking it again and again was a tenth of the CPU of a run.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collecting:
            gc.enable()


@dg.definitions
def defs() -> dg.Definitions:
    """Load the assets, checks, schedules, sensors and models under ``defs``."""
    with kept_for_good():
        return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
