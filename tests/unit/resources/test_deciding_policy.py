"""Which policy decides, and whether it was fitted for what is live."""

from datetime import UTC, datetime

import pytest

from ml_platform.aws.model_packages import ModelPackage
from ml_platform.aws.objects import ObjectStore
from ml_platform.core import names
from ml_platform.core.fingerprint import fingerprint_json
from ml_platform.modeling.decision_policy import DecisionPolicy
from ml_platform.modeling.money import MoneyParameters
from ml_platform.resources.deciding_policy import deciding_policy

MODEL = "card_fraud"
POLICY = DecisionPolicy(model=MODEL, artifact_fingerprint="fitted-on", min_review_saving=1)


def package(fingerprint: str) -> ModelPackage:
    properties = {"candidate_fingerprint": fingerprint}
    return ModelPackage(
        arn="a",
        group="g",
        version=2,
        status="Approved",
        properties=properties,
        created_at=datetime(2026, 4, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("live", "fits", "words"),
    [
        (package("fitted-on"), True, "fitted on version 2's scores"),
        (package("another"), False, "another model's scores: materialize card_fraud/decision_policy"),
        (None, False, "another model's scores"),
    ],
)
def test_a_policy_fits_the_version_on_whose_scores_it_was_fitted(
    store: ObjectStore, live: ModelPackage | None, *, fits: bool, words: str
) -> None:
    store.put(names.decision_policy_in_force(MODEL), POLICY.model_dump_json().encode())
    found = deciding_policy(store, MODEL, live)
    assert found is not None
    assert (found.version, found.fits) == (POLICY.version, fits)
    assert words in found.said


def test_before_the_first_policy_there_is_none_and_one_that_cannot_be_read_is_said(store: ObjectStore) -> None:
    assert deciding_policy(store, "never_fitted", package("x")) is None
    store.put(names.decision_policy_in_force("unreadable"), b"{}")
    found = deciding_policy(store, "unreadable", package("x"))
    assert found is not None
    assert "none of this platform version" in found.said


def test_a_policy_of_other_figures_than_those_declared_does_not_fit(store: ObjectStore) -> None:
    store.put(names.decision_policy_in_force(MODEL), POLICY.model_dump_json().encode())
    declared = {"decision policy": fingerprint_json(MoneyParameters().model_dump(mode="json"))}
    same = deciding_policy(store, MODEL, package("fitted-on"), declared)
    other = deciding_policy(store, MODEL, package("fitted-on"), {"decision policy": "another"})
    assert same is not None
    assert same.fits
    assert other is not None
    assert not other.fits
    assert "with other figures of the business" in other.said
