"""Who this process is to AWS, and which person that means."""

from botocore.exceptions import BotoCoreError, ClientError

from ml_platform.aws import clients


def caller_arn(region: str) -> str | None:
    """Return the ARN of the caller, or None when AWS cannot say: no credentials, or nobody answers."""
    try:
        return str(clients.sts(region).get_caller_identity()["Arn"])
    except (BotoCoreError, ClientError):
        return None


def person_of(arn: str | None) -> str | None:
    """Return the person behind an ARN, or None when it names no one in particular.

    A session of a role is called by its last part, so that a person in two roles is one person; an account's root
    is shared by whoever has its keys.
    """
    if arn is None or arn.endswith(":root"):
        return None
    return arn.rpartition("/")[2] or None
