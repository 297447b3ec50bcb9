"""The code location, loaded into this process."""

import dagster as dg


def load_definitions() -> dg.Definitions:
    """Return what Dagster loads from ``ml_platform.definitions``."""
    from ml_platform.definitions import defs

    return defs()
