"""Names of SageMaker jobs that follow from what a Dagster step materializes, so that a second try finds the first.

Pure. A job's attempts (``-r1``, ``-r2``) are counted by ``aws.job_lifecycle``.
"""

from collections.abc import Sequence

from ml_platform.core import names
from ml_platform.core.fingerprint import fingerprint_parts

FINGERPRINT_CHARACTERS = 16


def job_name(path: Sequence[str], partition: str | None, fingerprint: str) -> str:
    """Return the name of the job that makes one partition of an asset from inputs of this fingerprint.

    Names hold 63 letters, digits and hyphens: what is too long is cut and what is not allowed replaced. The part at
    the end, which is never cut, therefore covers asset and partition too.

    Args:
        path: The asset's key, or the op's name.
        partition: Partition key, or None.
        fingerprint: Over everything the job's outcome depends on.
    """
    whole = {"asset": "/".join(path), "partition": partition or "", "inputs": fingerprint}
    parts = [part for part in (*path, partition or "") if any(character.isalnum() for character in part)]
    return names.sagemaker_name(*parts, fingerprint_parts(whole)[:FINGERPRINT_CHARACTERS])
