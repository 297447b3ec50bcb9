"""Where the demo happens: the simulated world it needs, and an empty platform to start from.

A demo starts from nothing each time, so that the story is the same; it deletes only what a demo left behind.
"""

import os
import shutil

from ml_platform.cli.home import only_one
from ml_platform.cli.services import LOCAL_MARKER, stop_left_overs
from ml_platform.core.errors import ConfigurationError
from ml_platform.core.settings import SIMULATOR, Settings

HISTORY_DAYS = 90
LIVE_DAYS = 7
MATURING_DAYS = 28

STATE = ("ground", "sagemaker", "feast", "demo", "bench")


def use_simulator(settings: Settings) -> Settings:
    """Return settings whose world is the simulated one that shifts when the live week begins.

    The shift is kept in ``platform.env``, so that ``ml-platform dev`` goes on in the same world.
    """
    os.environ["ML_PLATFORM_SOURCE"] = SIMULATOR
    if settings.simulator_shift_day is None:
        with (settings.home / "platform.env").open("a") as file:
            file.write(
                f"# Prices rise on this day of the demo's world.\nML_PLATFORM_SIMULATOR_SHIFT_DAY={HISTORY_DAYS}\n"
            )
    return Settings.load()


def start_afresh(settings: Settings) -> None:
    """Delete what an earlier demo left, finished or not; refuse when the state is somebody's own.

    Raises:
        ConfigurationError: When services run, or the home holds state that no demo made.
    """
    with only_one(settings.home, "services"):
        marker = settings.home / "demo" / "made-by-the-demo"
        if (_holds_payments(settings) or (settings.home / LOCAL_MARKER).exists()) and not marker.exists():
            raise ConfigurationError(
                f"{settings.home} holds a platform that no demo made, and a demo starts from nothing. Keep it and give "
                "the demo a place of its own: ML_PLATFORM_HOME=.ml_platform_demo make demo"
            )
        # A service of a killed demo would write its state back when it is stopped later.
        stop_left_overs(settings)
        for name in STATE:
            shutil.rmtree(settings.home / name, ignore_errors=True)
        for entry in settings.dagster_home.iterdir():
            if entry.name == "dagster.yaml":
                continue
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()


def _holds_payments(settings: Settings) -> bool:
    """Whether anything was ever landed in this home's bucket; services that merely ran leave nothing of worth."""
    return any((settings.home / "ground" / "s3").glob(f"*/{settings.bucket}/*"))
