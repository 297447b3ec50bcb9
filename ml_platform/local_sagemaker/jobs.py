"""What all kinds of jobs have in common for the control plane: a name of their own, and states that refuse a request.

What one kind asks for, and how it runs, is in that kind's own modules.
"""

from typing import Any

from ml_platform.local_sagemaker.service import Service, in_use, validation
from ml_platform.local_sagemaker.store import DuplicateError
from ml_platform.local_sagemaker.tags import put_tags

RUNNING, ENDED = ("InProgress", "Stopping"), ("Completed", "Failed", "Stopped")


def insert_job(
    service: Service, kind: str, name: str, body: dict[str, Any], names: str = "Job name", one: str = "a job"
) -> None:
    """Store a new job, and its tags beside it.

    Args:
        service: Where to.
        kind: The job's kind.
        name: The job's name.
        body: Its description, with the tags that were asked for.
        names: How AWS calls names of this kind when one is taken.
        one: How it calls the job that has the name.

    Raises:
        AwsError: When the name is taken.
    """
    arn, tags = service.arn(kind, name), body.pop("Tags", None)
    try:
        service.store.insert(kind, name, body)
    except DuplicateError as error:
        raise in_use(
            f"{names} must be unique within an AWS account and region, and {one} with this name already exists ({arn})"
        ) from error
    put_tags(service, arn, tags)


def refuse_when(job: str, status: str, refused: tuple[str, ...]) -> None:
    """Refuse a request for a job that is in one of these states.

    Raises:
        AwsError: When it is.
    """
    if status in refused:
        raise validation(f"The request was rejected because the {job} is in status {status}.")
