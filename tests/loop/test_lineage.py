"""Lineage both ways on a small world: from a decision to what made it, from a day of data to what it touched."""

from datetime import timedelta

import pytest

from ml_platform.aws.model_packages import ModelPackage
from ml_platform.cli.explain import render as render_decision
from ml_platform.cli.impact import render as render_impact
from ml_platform.cli.traffic import Features, Tally, features_of_day, replay_day
from ml_platform.components.model_pipeline import ModelPipeline
from ml_platform.core import names
from ml_platform.core.clock import utc_now
from ml_platform.core.errors import ConfigurationError
from ml_platform.evaluation.explanations import Explanations
from ml_platform.features.offline.training_set_spec import TrainingSetManifest
from ml_platform.registry import lookup, model_package
from ml_platform.resources.artifacts import load_model
from ml_platform.resources.day_impact import impact
from ml_platform.resources.decision_lineage import DecisionLineage, UnknownDecisionError, explain
from ml_platform.resources.payment_decisions import FittedPolicy
from ml_platform.scoring.policy_in_force import PolicyInForce
from ml_platform.scoring.transaction import Score, Scorer
from tests.builders import a_model
from tests.loop.conftest import LIVE_FROM, World

MODEL = "traced_fraud"
ENDPOINT = names.endpoint(MODEL)
TRAINED = ("training_set", "model_candidate", "evaluation_report", "model_package")


@pytest.fixture(scope="module")
def models() -> list[ModelPipeline]:
    # A small world has few frauds; a calibration on them is a poor one, and it is there.
    return [a_model(MODEL, policy_min_positives=1)]


@pytest.fixture(scope="module")
def package(world: World) -> ModelPackage:
    """The live package: trained, approved by a reviewer, deployed, with a policy fitted for it."""
    world.land(0, LIVE_FROM - 1)
    world.train()
    region = world.settings.region
    newest = lookup.list_packages(region, names.model_package_group(MODEL))[0]
    approved = model_package.approve(region, newest.arn, by="reviewer", reason="figures hold")
    world.runs.materialize([f"{MODEL}/live_endpoint"])
    world.runs.materialize([f"{MODEL}/decision_policy"])
    world.runs.materialize([f"{MODEL}/batch_scores"])
    return approved


@pytest.fixture(scope="module")
def features(world: World, package: ModelPackage) -> list[Features]:
    """What the online store says of the day's first payments before the day has landed."""
    return features_of_day(world.settings, world.day(LIVE_FROM), 3)


@pytest.fixture(scope="module")
def decided(world: World, package: ModelPackage, features: list[Features]) -> list[Score]:
    """A day of payments decided under a policy and with reasons, then captured; the day lands at night."""
    policy = PolicyInForce(world.store, MODEL)
    scorer = Scorer(world.settings, ENDPOINT, reasons=4, policy=policy)
    tally = Tally()
    replay_day(world.settings, scorer, world.day(LIVE_FROM), tally)
    assert tally.errors == []
    scores = [scorer.score(values, f"asked-{number}") for number, values in enumerate(features)]
    plain = Scorer(world.settings, ENDPOINT).score(features[0], "plain-0")
    world.land(LIVE_FROM, LIVE_FROM)
    hour = utc_now().replace(minute=0, second=0, microsecond=0)
    for captured in (hour - timedelta(hours=1), hour):
        world.runs.materialize([f"{MODEL}/captured_traffic"], partition=captured.strftime("%Y-%m-%d-%H:%M"))
    return [*scores, plain]


def test_a_score_comes_with_reasons_and_the_action_of_the_policy_in_force(world: World, decided: list[Score]) -> None:
    fitted = world.manifests.read("decision_policy", FittedPolicy)
    for score in decided[:-1]:
        assert score.policy_version == fitted.policy.version
        assert score.policy_fits
        assert score.action in {"approve", "review", "decline"}
        assert score.reasons is not None
        assert [reason.contribution for reason in score.reasons] == sorted(
            (reason.contribution for reason in score.reasons), reverse=True
        )
    assert decided[-1].reasons is None
    assert decided[-1].action is None


def test_a_reviewer_sees_what_a_candidate_decides_by(world: World, package: ModelPackage) -> None:
    found = world.manifests.read("explanations", Explanations)
    assert found.candidate_fingerprint == package.properties["candidate_fingerprint"]
    assert len(found.importance) == len(load_model(world.store, package.artifact_uri).pipeline.signature.features)
    assert found.importance[0].low > 0
    # The first model: there is no champion whose reasons could be kept.
    assert (found.agreement, found.failures) == (None, ())


def test_a_decision_is_explained_from_score_to_approver(
    world: World, package: ModelPackage, decided: list[Score]
) -> None:
    found = explain(world.settings, MODEL, "asked-1")
    asked = decided[1]
    assert (found.score, found.reasons, found.action) == (asked.score, asked.reasons, asked.action)
    assert found.reasons_are == "recorded with the answer"
    assert found.policy_version == asked.policy_version
    assert (found.version, found.package_arn) == (package.version, package.arn)
    assert found.artifact_fingerprint == load_model(world.store, package.artifact_uri).fingerprint
    assert found.approval is not None
    assert (found.approval.status, found.approval.reason) == ("Approved", "figures hold")
    assert found.approval.at is not None
    assert found.training_job == package.properties["training_job"]
    assert found.endpoint_config is not None
    manifest = world.manifests.read("training_set", TrainingSetManifest)
    assert found.training_set is not None
    assert found.training_set.fingerprint == manifest.fingerprint
    assert found.training_set.labels_known_by == manifest.as_of
    assert found.code_fingerprint is not None


def test_the_features_of_a_decision_name_the_rows_they_were_served_from(
    world: World, decided: list[Score], features: list[Features]
) -> None:
    found = explain(world.settings, MODEL, "asked-1")
    assert found.features == dict(features[1])
    views = {view.view: view for view in found.views}
    assert set(views) == {"the request", "payments/card_activity", "payments/terminal_risk"}
    assert views["payments/card_activity"].newest_day == world.day(LIVE_FROM - 1)
    assert views["payments/card_activity"].rows_version is not None


def test_reasons_that_were_not_asked_for_are_recomputed(world: World, decided: list[Score]) -> None:
    """The same payment was asked about with reasons and without: both must say the same."""
    plain, asked = (explain(world.settings, MODEL, identity) for identity in ("plain-0", "asked-0"))
    assert plain.reasons_are == "recomputed from the artifact"
    assert plain.reasons == asked.reasons
    assert plain.action is None


def test_a_batch_score_is_explained_too(world: World, package: ModelPackage, decided: list[Score]) -> None:
    from ml_platform.batch.run import BatchScores, read_scores

    scores = read_scores(world.store, world.manifests.read("batch_scores", BatchScores).scores_uri)
    identity, score = scores.row(0)
    found = explain(world.settings, MODEL, identity)
    assert (found.source, found.score, found.version) == ("batch scores", score, package.version)
    pipeline = load_model(world.store, package.artifact_uri).pipeline
    assert tuple(found.features) == pipeline.signature.features
    import numpy as np

    row = np.array([[np.nan if value is None else value for value in found.features.values()]])
    assert pipeline.score_matrix(row)[0] == pytest.approx(score, abs=1e-9)


def test_an_unknown_decision_is_told_apart_from_one_not_captured_yet(world: World, decided: list[Score]) -> None:
    with pytest.raises(UnknownDecisionError, match="Check the id"):
        explain(world.settings, MODEL, "nobody")
    old = f"{names.capture_prefix(MODEL)}{ENDPOINT}/primary/2026/01/02/03/x.jsonl"
    world.store.put(old, b"")
    with pytest.raises(UnknownDecisionError, match=r"Requests of 2026-01-02 03 h .* are not captured yet"):
        explain(world.settings, MODEL, "nobody")
    world.store.delete([old])


def test_a_day_in_training_touches_models_endpoints_decisions_and_batches(
    world: World, package: ModelPackage, decided: list[Score]
) -> None:
    manifest = world.manifests.read("training_set", TrainingSetManifest)
    found = impact(world.settings, "payments/transactions", manifest.splits["train"].first_day, [MODEL])
    assert [(one.fingerprint, one.only_carried) for one in found.training_sets] == [(manifest.fingerprint, False)]
    assert "payments/transactions" in found.training_sets[0].through
    assert [(one.version, one.package_arn) for one in found.candidates] == [(package.version, package.arn)]
    assert [(one.endpoint, one.version, one.until) for one in found.endpoints] == [(ENDPOINT, package.version, None)]
    (made,) = found.decisions
    assert made.by_touched_models == made.in_all > 200
    assert [batch.by_touched_model for batch in found.batches] == [True]


def test_a_day_after_training_touches_only_what_was_served_its_features(world: World, decided: list[Score]) -> None:
    found = impact(world.settings, "payments/transactions", world.day(LIVE_FROM - 1), [MODEL])
    assert (found.training_sets, found.candidates, found.endpoints) == ((), (), ())
    (made,) = found.decisions
    assert made.by_touched_models == 0
    # The day's replay; what was asked beside it are no payments.
    assert made.on_touched_features == made.in_all > 200
    assert [batch.on_touched_features for batch in found.batches] == [True]


def test_a_label_day_touches_terminals_and_not_cards(world: World, decided: list[Score]) -> None:
    found = impact(world.settings, "payments/fraud_labels", world.day(20), [MODEL])
    assert set(found.features) == {"payments/terminal_risk"}
    assert found.training_sets != ()


def test_a_day_that_never_landed_touches_nothing_and_says_which_did(world: World, decided: list[Score]) -> None:
    with pytest.raises(ConfigurationError, match=f"There are {world.day(0)} to"):
        impact(world.settings, "payments/transactions", world.day(400), [MODEL])
    with pytest.raises(ConfigurationError, match="is no source of features"):
        impact(world.settings, "payments/card_activity", world.day(0), [MODEL])


def test_people_see_reasons_in_words(world: World, decided: list[Score]) -> None:
    from rich.console import Console

    console = Console(width=400, record=True, file=None, quiet=True)
    found: DecisionLineage = explain(world.settings, MODEL, "asked-0")
    console.quiet = False
    with console.capture() as shown:
        console.print(render_decision(found))
        console.print(render_impact(impact(world.settings, "payments/transactions", world.day(15), [MODEL])))
    text = shown.get()
    assert "Approved by reviewer" in text
    assert "by policy" in text
    if found.reasons:
        assert "log-odds" in text
    assert f"{MODEL}: " in text


def test_labels_that_matured_calibrate_the_policy_anew(world: World, decided: list[Score]) -> None:
    """The last test: it lands the days on which the labels of the decided payments become known."""
    before = world.manifests.read("decision_policy", FittedPolicy)
    assert before.policy.calibrated_on == 0
    world.land(LIVE_FROM + 1, LIVE_FROM + 9)
    world.runs.materialize([f"{MODEL}/decision_policy"])
    after = world.manifests.read("decision_policy", FittedPolicy)
    assert after.policy.calibrated_on > 0
    in_force = PolicyInForce(world.store, MODEL).current()
    assert in_force is not None
    assert in_force.version == after.policy.version != before.policy.version
    # What was decided before keeps the policy it was decided by.
    assert explain(world.settings, MODEL, "asked-0").policy_version == before.policy.version
