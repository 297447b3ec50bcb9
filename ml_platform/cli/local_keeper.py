"""The process behind ``ml-platform local up``: it holds the services until it is told to stop.

Started in the background by ``local_services``; it ends when a service ends, so that no half of them stays.
"""

import os
import signal
import sys

from ml_platform.cli.home import check_home, locate_home
from ml_platform.cli.processes import ProcessRecord
from ml_platform.cli.service_specs import record_path
from ml_platform.cli.services import KEEPER, LocalServices
from ml_platform.core.clock import sleep
from ml_platform.core.errors import MLPlatformError
from ml_platform.core.settings import Settings


def keep(settings: Settings) -> None:
    """Run the services until SIGTERM."""
    check_home(settings.home)
    record = record_path(settings.home, KEEPER)
    with LocalServices(settings, report=_say) as services:
        ProcessRecord.of(KEEPER, os.getpid()).write(record)
        try:
            while True:
                services.check()
                sleep(1)
        finally:
            record.unlink(missing_ok=True)


def _say(message: str) -> None:
    sys.stderr.write(f"{message}\n")


def main() -> None:
    """Keep the services of the home that the environment names."""
    # Whoever is refused because of us is told what to look for.
    sys.argv = ["ml-platform", "local", "up"]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    locate_home()
    try:
        keep(Settings.load())
    except MLPlatformError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
