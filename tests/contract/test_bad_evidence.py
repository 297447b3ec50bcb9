"""What promotes nothing: a changed report, a challenger whose champion is gone, a decision that leaves no trace."""

import io
import tarfile
import uuid
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pytest

from ml_platform.aws import clients, endpoints
from ml_platform.aws.sealed_objects import put_once
from ml_platform.components.origin import declared_by
from ml_platform.components.registry import build_model_package
from ml_platform.core import names
from ml_platform.core.clock import utc_now
from ml_platform.core.errors import ArtifactError, ConfigurationError, EndpointError
from ml_platform.core.settings import Settings
from ml_platform.deployment.rollout import deploy
from ml_platform.deployment.rollout_plan import RolloutPolicy
from ml_platform.evaluation.evidence import SEAL, PromotionEvidence
from ml_platform.registry import lookup
from ml_platform.registry.audit import AuditError, AuditTrail
from ml_platform.registry.dossier import EvidenceError
from ml_platform.resources.feature_store import FeatureStore
from ml_platform.resources.model_evaluator import ModelEvaluator
from ml_platform.resources.sagemaker import SageMaker
from ml_platform.resources.training_sources import sources_of
from tests.builders import a_model
from tests.contract.governance_world import NOW, GovernanceWorld
from tests.contract.test_governance import POLICIES, acts, approve

RESOURCES = {"feature_store": FeatureStore(), "sagemaker": SageMaker(), "model_evaluator": ModelEvaluator()}


@pytest.fixture
def world(sagemaker_settings: Settings) -> GovernanceWorld:
    world = GovernanceWorld(sagemaker_settings, f"m{uuid.uuid4().hex[:12]}")
    world.land()
    return world


def champion(world: GovernanceWorld) -> lookup.LivePackage | None:
    group = names.model_package_group(world.model)
    return lookup.champion(world.settings.region, names.endpoint(world.model), group)


# A report that was changed


def register_by_the_graph(
    world: GovernanceWorld, judged: PromotionEvidence, kept: PromotionEvidence
) -> dg.ExecuteInProcessResult:
    """Run ``model_package`` after an evaluation that found one thing, while S3 holds another."""
    manifests = SageMaker().manifests(world.model)
    training_set = world.training_set()
    manifests.write("training_set", training_set)
    manifests.write("training_set_sources", sources_of(world.governance.store, training_set.spec).of_set("t" * 64))
    manifests.write("model_candidate", world.candidate())
    manifests.write("evaluation_report", kept)

    @dg.asset(key=[world.model, "evaluation_report"])
    def report() -> dg.MaterializeResult[Any]:
        return dg.MaterializeResult(metadata={SEAL: judged.seal})

    package = build_model_package(a_model(world.model), report)
    return dg.materialize([report, package], resources=RESOURCES, raise_on_error=True)


def sealed(world: GovernanceWorld, **overrides: object) -> PromotionEvidence:
    return world.evidence(policies=dict(declared_by(a_model(world.model)).policies), **overrides)


def test_a_report_whose_failures_were_taken_out_in_s3_is_refused(world: GovernanceWorld) -> None:
    stopped = sealed(world, failures=("average precision 0.0100 < 0.1000",))
    with pytest.raises(EvidenceError, match="it was changed"):
        register_by_the_graph(world, judged=stopped, kept=stopped.model_copy(update={"failures": ()}))
    assert lookup.list_packages(world.settings.region, names.model_package_group(world.model)) == []


def test_a_report_as_it_was_judged_is_registered(world: GovernanceWorld) -> None:
    evidence = sealed(world)
    assert register_by_the_graph(world, judged=evidence, kept=evidence).success
    assert len(lookup.list_packages(world.settings.region, names.model_package_group(world.model))) == 1


# An artifact of another shape


def with_another_signature(archive: bytes) -> bytes:
    """The same artifact, in which one feature has another name."""
    changed = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(archive)) as before,
        tarfile.open(fileobj=changed, mode="w:gz") as after,
    ):
        for member in before.getmembers():
            opened = before.extractfile(member)
            content = opened.read() if opened else b""
            if member.name.endswith("signature.json"):
                content = content.replace(b"amount", b"weight")
            renewed = tarfile.TarInfo(member.name)
            renewed.size = len(content)
            after.addfile(renewed, io.BytesIO(content))
    return changed.getvalue()


def test_an_artifact_with_another_signature_is_refused_and_named(
    world: GovernanceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate, store = world.candidate(), world.governance.store
    monkeypatch.setattr(GovernanceWorld, "candidate", lambda _: candidate)
    key = store.key(candidate.artifact_uri)
    whole = store.get(key)
    store.put(key, with_another_signature(whole))
    with pytest.raises(ArtifactError, match="signature"):
        world.register()
    assert lookup.list_packages(world.settings.region, names.model_package_group(world.model)) == []
    store.put(key, whole)
    assert world.register().version == 1


# A champion that is gone


def test_a_challenger_is_no_first_model_because_the_endpoint_is_gone(world: GovernanceWorld) -> None:
    assert champion(world) is None
    package = approve(world, world.register())
    assert champion(world) is None, "it was never live"
    world.governance.record_deployment(package, by="rita", changed=True, at=NOW)
    with pytest.raises(EndpointError, match=r"Version 1 was live, and endpoint .* serves nothing now"):
        champion(world)
    live = lookup.list_packages(world.settings.region, package.group)[0]
    world.governance.reject(live, by="rita", reason="it is not wanted back", at=NOW)
    assert champion(world) is None


@dataclass(frozen=True)
class NextCandidate(GovernanceWorld):
    """Of the same model."""

    @property
    def fingerprint(self) -> str:
        return self.model.ljust(64, "2")


def test_a_live_package_that_was_deleted_lets_no_challenger_through_and_may_be_replaced(
    world: GovernanceWorld,
) -> None:
    package, region = approve(world, world.register()), world.settings.region
    better = NextCandidate(world.settings, world.model).register()
    world.governance.approve(better, by="rita", reason="better", at=utc_now(), policies=POLICIES)
    try:
        deploy(world.settings, world.model, package)
        found = champion(world)
        assert found is not None
        assert found.package.arn == package.arn
        clients.sagemaker(region).delete_model_package(ModelPackageName=package.arn)
        with pytest.raises(EndpointError, match="not in the registry any more"):
            champion(world)
        assert SageMaker().deploy(world.model, RolloutPolicy(), print, POLICIES).version == 2
    finally:
        endpoints.delete_endpoint(region, names.endpoint(world.model))


# A decision without a trace


def test_a_decision_that_cannot_be_put_on_record_is_not_taken(world: GovernanceWorld) -> None:
    package = world.register()

    def refuse(*_: object, **__: object) -> None:
        raise AuditError("The trail cannot be written.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AuditTrail, "append", refuse)
        with pytest.raises(AuditError):
            approve(world, package)
    assert lookup.latest_approved(world.settings.region, package.group) is None
    assert acts(world) == [("register", "tina")]


def test_a_record_that_s3_refuses_says_why(world: GovernanceWorld) -> None:
    store = world.governance.store
    elsewhere = type(store)("no-such-bucket-of-ours", store.region)
    with pytest.raises(ConfigurationError, match=r"write s3://no-such-bucket-of-ours/audit/x\.json"):
        put_once(elsewhere, "audit/x.json", b"{}")


def test_a_record_that_was_written_although_the_answer_was_lost_is_one_record(world: GovernanceWorld) -> None:
    store, key = world.governance.store, f"audit/{world.model}/00000001.json"
    assert put_once(store, key, b"{}")
    assert put_once(store, key, b"{}"), "the same write, tried again"
    assert not put_once(store, key, b"[]")
