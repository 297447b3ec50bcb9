"""What SageMaker's own resources read and make, as far as lineage tells it. Pure: bodies of resources in, links out.

Which of a job's properties are tracked is AWS's documentation of the entities that SageMaker creates.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Body = dict[str, Any]
DATA_SET, IMAGE, MODEL = "DataSet", "Image", "Model"


@dataclass(frozen=True)
class Link:
    """An artifact that went into something, or came out of it."""

    uri: str
    artifact_type: str
    produced: bool = False


@dataclass(frozen=True)
class JobKind:
    """How one kind of job is named, in its own body and in lineage."""

    title: str

    @property
    def source_type(self) -> str:
        """What the trial component of such a job comes from."""
        return f"SageMaker{self.title}"

    def component(self, body: Body) -> str:
        """Return the name of a job's trial component."""
        suffix = {"TrainingJob": "training", "ProcessingJob": "processing", "TransformJob": "transform"}[self.title]
        return f"{body[f'{self.title}Name']}-aws-{suffix}-job"

    def links(self, body: Body) -> Iterator[Link]:
        """Yield what a job reads and, once it is complete, what it made."""
        complete = body[f"{self.title}Status"] == "Completed"
        for link in {"TrainingJob": _training, "ProcessingJob": _processing, "TransformJob": _transform}[self.title](
            body
        ):
            if link.uri and (complete or not link.produced):
                yield link


JOBS = {
    "training-job": JobKind("TrainingJob"),
    "processing-job": JobKind("ProcessingJob"),
    "transform-job": JobKind("TransformJob"),
}


def _training(body: Body) -> Iterator[Link]:
    yield Link(body.get("AlgorithmSpecification", {}).get("TrainingImage", ""), IMAGE)
    for channel in body.get("InputDataConfig", []):
        yield Link(channel.get("DataSource", {}).get("S3DataSource", {}).get("S3Uri", ""), DATA_SET)
    yield Link(body.get("CheckpointConfig", {}).get("S3Uri", ""), DATA_SET)
    yield Link(body.get("ModelArtifacts", {}).get("S3ModelArtifacts", ""), MODEL, produced=True)


def _processing(body: Body) -> Iterator[Link]:
    yield Link(body.get("AppSpecification", {}).get("ImageUri", ""), IMAGE)
    for given in body.get("ProcessingInputs", []):
        yield Link(given.get("S3Input", {}).get("S3Uri", ""), DATA_SET)
    for made in body.get("ProcessingOutputConfig", {}).get("Outputs", []):
        yield Link(made.get("S3Output", {}).get("S3Uri", ""), DATA_SET, produced=True)


def _transform(body: Body) -> Iterator[Link]:
    yield Link(body.get("TransformInput", {}).get("DataSource", {}).get("S3DataSource", {}).get("S3Uri", ""), DATA_SET)
    yield Link(body.get("TransformOutput", {}).get("S3OutputPath", ""), DATA_SET, produced=True)


def container_links(containers: list[Body]) -> Iterator[Link]:
    """Yield the images and models that a model, or a model package, is made of."""
    for container in containers:
        for member, artifact_type in (("ModelDataUrl", MODEL), ("Image", IMAGE)):
            if container.get(member):
                yield Link(container[member], artifact_type)
