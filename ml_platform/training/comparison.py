"""What changed between two fits: data, specification, features, parameters, code, libraries. Pure.

What was not recorded is told as such: unknown is not the same as equal.
"""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from ml_platform.modeling.artifact import Manifest

UNKNOWN = "not recorded"
ABSENT = "none"


class Difference(BaseModel):
    """One thing in which two fits differ."""

    model_config = ConfigDict(frozen=True)

    part: str
    name: str
    before: str
    after: str


Facts = dict[str, dict[str, str]]
"""Part to name to value, as text. A part that was not recorded has no names."""


def facts_of(manifest: Manifest, training_set: Mapping[str, Any] | None, figures: Mapping[str, str]) -> Facts:
    """Return what is known of one fit.

    Args:
        manifest: Of its artifact.
        training_set: Manifest of its training set; None when it is gone.
        figures: Headline figures of its package.
    """
    strings = manifest.origin.hyperparameters
    parts = json.loads(strings.get("parts", "{}"))
    known = training_set or {}
    fingerprints = known.get("fingerprints", {})
    spec = {name: value for name, value in known.get("spec", {}).items() if name != "as_of"}
    return {
        "data": _flat(known.get("splits", {}), leave_out=("uri",))
        | _given({"as of": known.get("as_of"), "rows": fingerprints.get("data")})
        | {f"{name} features and labels": digest for name, digest in manifest.origin.rows.items()},
        "spec": _flat(spec),
        "feature service": _given({"definition": fingerprints.get("feature_service")}),
        "parameters": _parameters(strings),
        "code": _given(
            {
                "training set": fingerprints.get("code"),
                "own training code": strings.get("code", ABSENT) if strings else None,
            }
        )
        | dict(manifest.origin.code),
        "image": _given({"training": parts.get("image")}),
        "libraries": dict(manifest.libraries)
        | _given({"python": manifest.origin.python, "processor": manifest.origin.machine}),
        "model": {"kind": manifest.estimator, **manifest.files},
        "figures": dict(figures),
    }


def compare(before: Facts, after: Facts) -> list[Difference]:
    """Return every difference, part by part in the order of ``before``."""
    found = []
    for part, names in before.items():
        others = after.get(part, {})
        for name in sorted({*names, *others}):
            one = names.get(name, ABSENT if names else UNKNOWN)
            other = others.get(name, ABSENT if others else UNKNOWN)
            if one != other:
                found.append(Difference(part=part, name=name, before=one, after=other))
    return found


def _parameters(strings: Mapping[str, str]) -> dict[str, str]:
    own = ("features", "label", "model_parameters", "fingerprint", "parts", "code")
    chosen = {name: value for name, value in strings.items() if name not in own}
    listed = {f"feature {name}": "input" for name in json.loads(strings.get("features", "[]"))}
    return chosen | _flat(json.loads(strings.get("model_parameters", "{}"))) | listed


def _flat(values: Mapping[str, Any], leave_out: tuple[str, ...] = ()) -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in values.items():
        if name in leave_out:
            continue
        if isinstance(value, Mapping):
            flat |= {f"{name} {key}": text for key, text in _flat(value, leave_out).items()}
        else:
            flat[name] = value if isinstance(value, str) else json.dumps(value)
    return flat


def _given(values: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}
