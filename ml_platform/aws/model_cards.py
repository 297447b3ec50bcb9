"""SageMaker model cards: create, update, describe. What a card of ours says is ``registry.card``."""

from datetime import datetime
from typing import Literal

from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict

from ml_platform.aws import clients, failures
from ml_platform.core.clock import in_utc
from ml_platform.core.errors import ServiceUnavailableError

CardStatus = Literal["Draft", "PendingReview", "Approved", "Archived"]
MAX_CONTENT = 100_000
"""Characters of a card's content that SageMaker takes."""


class ModelCard(BaseModel):
    """A card's newest version."""

    model_config = ConfigDict(frozen=True)

    name: str
    arn: str
    version: int
    status: CardStatus
    content: str
    changed_at: datetime


def describe(region: str, name: str) -> ModelCard | None:
    """Return a card, or None when there is none of this name."""
    with failures.translated(f"describe model card {name}"):
        try:
            answer = clients.sagemaker(region).describe_model_card(ModelCardName=name)
        except ClientError as error:
            if failures.means_missing(error):
                return None
            raise
    return ModelCard(
        name=name,
        arn=answer["ModelCardArn"],
        version=answer["ModelCardVersion"],
        status=answer["ModelCardStatus"],
        content=answer["Content"],
        changed_at=in_utc(answer.get("LastModifiedTime", answer["CreationTime"])),
    )


def put(region: str, name: str, content: str, status: CardStatus, tags: dict[str, str] | None = None) -> ModelCard:
    """Make a card say this and have this status; what it says already makes no new version."""
    known = describe(region, name)
    with failures.translated(f"write model card {name}"):
        client = clients.sagemaker(region)
        if known is None:
            client.create_model_card(
                ModelCardName=name,
                Content=content,
                ModelCardStatus=status,
                Tags=[{"Key": key, "Value": value} for key, value in (tags or {}).items()],
            )
        else:
            # One call may change the content or the status, and an archived card's content is closed.
            if known.content != content and known.status != "Archived":
                client.update_model_card(ModelCardName=name, Content=content)
            if known.status != status:
                client.update_model_card(ModelCardName=name, ModelCardStatus=status)
    written = describe(region, name)
    if written is None:
        raise ServiceUnavailableError(f"Model card {name} was written and is not there. Try again.")
    return written
