"""Where a fit comes from, as the container itself sees it: an image may be older than the code that started the job."""

import platform
from collections.abc import Mapping
from pathlib import Path

import ml_platform
from ml_platform.core.fingerprint import fingerprint_bytes
from ml_platform.modeling.artifact import Origin

PARTS = ("containers/training", "modeling")
"""The code that makes a model what it is."""
# A search calls its objective by this key in each of its jobs' hyper-parameters.
_NOT_OURS = ("_tuning_", "sagemaker_")


def origin(strings: Mapping[str, str], rows: Mapping[str, str]) -> Origin:
    """Return what it takes to do this fit again.

    Args:
        strings: The job's hyper-parameters as they came.
        rows: Digest of each channel's features and labels.
    """
    return Origin(
        hyperparameters={key: value for key, value in sorted(strings.items()) if not key.startswith(_NOT_OURS)},
        code=code_digests(),
        rows=dict(rows),
        python=platform.python_version(),
        machine=platform.machine(),
    )


def code_digests() -> dict[str, str]:
    """Return the SHA-256 of each file of the platform that a fit depends on."""
    package = Path(ml_platform.__file__).parent
    files = sorted(file for part in PARTS for file in (package / part).rglob("*.py"))
    return {str(file.relative_to(package)): fingerprint_bytes(file.read_bytes()) for file in files}
