"""The code location, or one model of it, loaded into this process."""

from pathlib import Path

import dagster as dg

import ml_platform


def load_definitions() -> dg.Definitions:
    """Return what Dagster loads from ``ml_platform.definitions``."""
    from ml_platform.definitions import defs

    return defs()


def load_model(model: str) -> dg.Definitions:
    """Return the definitions of one model's folder alone, without their resources: a third of the time of all."""
    return dg.ComponentTree.for_project(Path(ml_platform.__file__).parent).build_defs(Path("models", model))
