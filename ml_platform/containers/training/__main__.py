"""Entry point of the training image: ``python -m ml_platform.containers.training train``."""

import logging
import signal
import sys
import traceback
from types import FrameType

from ml_platform.containers.lean_lightgbm import import_lean_lightgbm
from ml_platform.containers.training.job import run
from ml_platform.core.errors import MLPlatformError
from ml_platform.modeling.contract import CODE_CHANNEL, MAX_FAILURE_CHARACTERS, ContainerPaths

STOPPED = 128 + signal.SIGTERM


def main(arguments: list[str]) -> int:
    """Run one training job and return the process's exit code."""
    if arguments != ["train"]:
        sys.stderr.write("usage: python -m ml_platform.containers.training train\n")
        return 2
    # As PID 1 of a container a process without a handler of its own ignores SIGTERM.
    signal.signal(signal.SIGTERM, _stop)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    paths = ContainerPaths.from_environment()
    try:
        # Training code of a model's own may use LightGBM's wrappers for scikit-learn, which a lean import disables.
        if not paths.channel(CODE_CHANNEL).exists():
            import_lean_lightgbm()
        run(paths, before_saving=_hold_stops)
    except _StoppedError:
        logging.getLogger(__name__).info("stopped by SIGTERM; no model is saved")
        return STOPPED
    except MLPlatformError as error:
        return _fail(paths, str(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, SageMaker must be told why
        traceback.print_exc()
        return _fail(paths, f"Training failed unexpectedly: {type(error).__name__}: {error}")
    return 0


class _StoppedError(BaseException):
    """SageMaker stops the job. Not an ``Exception``, so that nothing on the way takes it for a failure."""


def _stop(_signal: int, _frame: FrameType | None) -> None:
    # Only raise: whatever runs now, such as a half-written log line, must not be entered a second time.
    raise _StoppedError


def _hold_stops() -> None:
    # Saving takes milliseconds; a stop that comes now waits for it, rather than leaving half an artifact.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _fail(paths: ContainerPaths, reason: str) -> int:
    paragraph = " ".join(reason.split())[:MAX_FAILURE_CHARACTERS]
    sys.stderr.write(f"{paragraph}\n")
    paths.failure.parent.mkdir(parents=True, exist_ok=True)
    paths.failure.write_text(paragraph, encoding="utf-8")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
