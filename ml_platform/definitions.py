"""What Dagster loads: everything under ``defs``. Nothing else happens here."""

import gc
from pathlib import Path

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    """Load the assets, checks, schedules, sensors and models under ``defs``."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
    finally:
        # It lives as long as the process: walking it again and again was a tenth of the CPU of a run.
        gc.freeze()
        if collecting:
            gc.enable()
