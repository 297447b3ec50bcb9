"""Hyper-parameters of the training container, and how they travel as SageMaker's strings."""

import json
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ml_platform.core.errors import ConfigurationError
from ml_platform.modeling.prequential import Trial
from ml_platform.modeling.schema import Signature, check_names

_MAX_VALUE_CHARACTERS = 2500  # CreateTrainingJob refuses longer ones
# The SageMaker SDK and tuning jobs add keys of their own to the file.
_FOREIGN_PREFIXES = ("sagemaker_", "_tuning_", "_kfold_")
_STRUCTURED = ("features", "model_parameters", "monotone", "categorical", "trial", "parts")
# What says where a fit comes from, but changes nothing about it.
PROVENANCE = ("fingerprint", "parts")


class HyperParameters(BaseModel):
    """Everything a fit depends on beside the data."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    features: tuple[str, ...] = Field(min_length=1, description="Input columns, in the model's order.")
    label: str = Field(default="label", description="Column with 0 or 1 to learn.")
    model_parameters: dict[str, Any] = Field(
        default_factory=dict, description="LightGBM parameters that replace the preset's."
    )
    seed: int = Field(default=0, ge=0, lt=2**31, description="Seed of bagging, feature sampling and label shuffling.")
    shuffle_labels: bool = Field(
        default=False,
        description="Permute the labels before the fit: a probe that must find nothing. What it finds is leakage.",
    )
    positive_weight: float | Literal["balanced"] = Field(
        default=1.0, description="How much a positive row counts; `balanced`: all of them as much as all negatives."
    )
    half_life_days: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="A row counts half after so many days. None: all the same."
    )
    monotone: dict[str, Literal[-1, 1]] = Field(
        default_factory=dict, description="Features that may only raise (1) or only lower (-1) the score."
    )
    categorical: tuple[str, ...] = Field(default=(), description="Features whose values are codes without an order.")
    missing: Literal["learned", "zero"] = Field(
        default="learned", description="Where a missing value goes: where the fit finds best, or where 0 goes."
    )
    code: str = Field(default="", description="SHA-256 of the model's own training code; empty: the platform's fit.")
    trial: Trial | None = Field(default=None, description="Measure on folds within the training days; keep no model.")
    fingerprint: str = Field(min_length=1, description="Fingerprint of the training set, code and feature service.")
    parts: dict[str, str] = Field(default_factory=dict, description="What the fingerprint is made of, by name.")

    @model_validator(mode="after")
    def _settings_name_features(self) -> Self:
        unknown = sorted({*self.monotone, *self.categorical} - {*self.features})
        if unknown:
            raise ValueError(f"monotone and categorical name {', '.join(unknown)}, which are no features of the model")
        if both := sorted({*self.monotone} & {*self.categorical}):
            raise ValueError(f"{', '.join(both)}: a code has no order, so it cannot be monotone")
        if self.positive_weight != "balanced" and not 0 < self.positive_weight < float("inf"):
            raise ValueError("positive_weight must be above 0")
        return self

    @model_validator(mode="after")
    def _names_are_usable(self) -> Self:
        check_names(self.features, self.label)
        return self

    @property
    def signature(self) -> Signature:
        """The signature of the model to be trained."""
        return Signature(features=self.features, label=self.label)

    def to_sagemaker(self) -> dict[str, str]:
        """Return the parameters as CreateTrainingJob takes them: strings only.

        Raises:
            ConfigurationError: When a value is longer than SageMaker allows.
        """
        strings = {
            "features": json.dumps(self.features),
            "label": self.label,
            "model_parameters": json.dumps(self.model_parameters, sort_keys=True),
            "seed": str(self.seed),
            "shuffle_labels": "true" if self.shuffle_labels else "false",
            "fingerprint": self.fingerprint,
        }
        given = self.model_dump(mode="json", exclude_defaults=True)
        for key in (name for name in given if name not in strings):
            value = given[key]
            strings[key] = json.dumps(value, sort_keys=True) if key in _STRUCTURED else str(value)
        for key, value in strings.items():
            if len(value) > _MAX_VALUE_CHARACTERS:
                raise ConfigurationError(
                    f"Hyper-parameter {key} has {len(value)} characters; SageMaker allows {_MAX_VALUE_CHARACTERS}."
                )
        return strings

    @classmethod
    def from_sagemaker(cls, strings: Mapping[str, str]) -> Self:
        """Read the parameters a training job was given.

        A key that is none of ours is taken as a LightGBM parameter, because a tuning job passes each parameter it
        searches as a key of its own; the fit refuses names that LightGBM does not know.

        Raises:
            ConfigurationError: When a value is missing or cannot be read; the message names each one.
        """
        ours = {key: value for key, value in strings.items() if key in cls.model_fields}
        tuned = {
            key: _read_scalar(value)
            for key, value in strings.items()
            if key not in cls.model_fields and not key.startswith(_FOREIGN_PREFIXES)
        }
        values: dict[str, Any] = ours | {key: _read_json(key, ours[key]) for key in _STRUCTURED if key in ours}
        if tuned and isinstance(values.setdefault("model_parameters", {}), dict):
            values["model_parameters"] |= tuned
        try:
            return cls(**values)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, item['loc'])) or 'features'}: {item['msg']}" for item in error.errors()
            )
            raise ConfigurationError(f"Hyper-parameters cannot be used: {problems}.") from error


def _read_json(key: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"Hyper-parameter {key} is not valid JSON: {error}.") from error


def _read_scalar(text: str) -> Any:
    """Return a number or boolean where the text is one, else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
