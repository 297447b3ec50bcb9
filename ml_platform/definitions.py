"""What Dagster loads: everything under ``defs``. Nothing else happens here."""

from pathlib import Path

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    """Load the assets, checks, schedules, sensors and models under ``defs``."""
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
