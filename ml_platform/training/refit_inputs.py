"""What a fit was started with, brought back from S3: rows, hyper-parameters and the model's own training code.

Everything is checked against the digests that were kept, so that a refit is never of something else.
"""

import json
from collections.abc import Mapping
from typing import Any

from ml_platform.aws.objects import ObjectNotFoundError, ObjectStore
from ml_platform.core import names
from ml_platform.core.errors import ArtifactError, MLPlatformError
from ml_platform.core.fingerprint import fingerprint_bytes, fingerprint_parts
from ml_platform.modeling.artifact import Manifest
from ml_platform.modeling.contract import CODE_CHANNEL, ContainerPaths
from ml_platform.modeling.hyperparameters import HyperParameters
from ml_platform.modeling.training_code import FILE

_CHANNELS = ("train", "validation")


class MissingInputError(MLPlatformError):
    """What a fit was made of is not there any more, or is not what it was."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


def training_set_document(store: ObjectStore, model: str, fingerprint: str) -> Mapping[str, Any]:
    """Return the manifest of a training set as it is.

    Raises:
        MissingInputError: When there is none any more.
    """
    key = f"{names.model_prefix(model, 'training-sets')}{fingerprint}/manifest.json"
    try:
        document = store.get_json(key)
    except ObjectNotFoundError as error:
        raise MissingInputError(f"the training set {fingerprint[:12]} is gone: there is no {store.uri(key)}") from error
    if not isinstance(document, dict):
        raise MissingInputError(f"the manifest of the training set {fingerprint[:12]} cannot be read")
    return document


def fitted_with(manifest: Manifest) -> HyperParameters:
    """Return the hyper-parameters of an artifact's fit.

    Raises:
        ArtifactError: When the artifact does not say.
    """
    if not manifest.origin.hyperparameters:
        raise ArtifactError(
            "The model was fitted before artifacts said what they are made of, so it cannot be fitted again. Train and"
            " register it once more."
        )
    return HyperParameters.from_sagemaker(manifest.origin.hyperparameters)


def write_inputs(store: ObjectStore, model: str, manifest: Manifest, paths: ContainerPaths) -> None:
    """Write what SageMaker would put below ``paths`` before it starts the training job.

    Raises:
        ArtifactError: When the artifact does not say what it was fitted with.
        MissingInputError: When rows or code are gone or altered.
    """
    hyperparameters = fitted_with(manifest)
    document = training_set_document(store, model, hyperparameters.parts.get("training_set", ""))
    contents = _rows(store, document)
    found = fingerprint_parts({split: fingerprint_bytes(content) for split, content in contents.items()})
    if found != document.get("fingerprints", {}).get("data"):
        raise MissingInputError("the rows of the training set are not those that it was built of: they were altered")
    for name in _CHANNELS:
        if name in contents:
            _write(paths, name, "part-0.parquet", contents[name])
    if hyperparameters.code:
        _write(paths, CODE_CHANNEL, FILE, own_code(store, model, hyperparameters.code))
    paths.hyperparameters.parent.mkdir(parents=True)
    paths.hyperparameters.write_text(json.dumps(manifest.origin.hyperparameters), encoding="utf-8")
    paths.model.mkdir()
    paths.failure.parent.mkdir()


def own_code(store: ObjectStore, model: str, digest: str) -> bytes:
    """Return one version of a model's own training code.

    Raises:
        MissingInputError: When it is gone or altered.
    """
    key = f"{names.training_code(model, digest)}{FILE}"
    try:
        content = store.get(key)
    except ObjectNotFoundError as error:
        raise MissingInputError(f"the training code is gone: there is no {store.uri(key)}") from error
    if fingerprint_bytes(content) != digest:
        raise MissingInputError(f"the training code {store.uri(key)} was altered")
    return content


def channels_of(store: ObjectStore, model: str, manifest: Manifest) -> dict[str, str]:
    """Return what a training job is given, without reading a row: channel name to S3 prefix.

    Raises:
        ArtifactError: When the artifact does not say what it was fitted with.
        MissingInputError: When a channel holds nothing any more.
    """
    hyperparameters = fitted_with(manifest)
    splits = training_set_document(store, model, hyperparameters.parts.get("training_set", "")).get("splits", {})
    channels = {name: str(splits[name]["uri"]) for name in _CHANNELS if name in splits}
    if hyperparameters.code:
        own_code(store, model, hyperparameters.code)
        channels[CODE_CHANNEL] = store.uri(names.training_code(model, hyperparameters.code))
    gone = [
        f"the {name} channel is gone: there is nothing below {uri}"
        for name, uri in channels.items()
        if not any(True for _ in store.keys(store.key(uri)))
    ]
    if gone:
        raise MissingInputError(*gone)
    return channels


def _rows(store: ObjectStore, document: Mapping[str, Any]) -> dict[str, bytes]:
    contents, gone = {}, []
    for split, described in document.get("splits", {}).items():
        key = f"{store.key(described['uri'])}part-0.parquet"
        try:
            contents[split] = store.get(key)
        except ObjectNotFoundError:
            gone.append(f"the {split} rows are gone: there is no {store.uri(key)}")
    if gone:
        raise MissingInputError(*gone)
    return contents


def _write(paths: ContainerPaths, channel: str, name: str, content: bytes) -> None:
    directory = paths.channel(channel)
    directory.mkdir(parents=True)
    (directory / name).write_bytes(content)
