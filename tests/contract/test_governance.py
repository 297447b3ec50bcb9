"""Registration, approval, expiry and the audit trail, on a real registry and real S3."""

import json
import uuid
from datetime import datetime, timedelta

import pytest

from ml_platform.aws import model_cards, model_packages
from ml_platform.cli.model_status import doubts
from ml_platform.core import names
from ml_platform.core.errors import ArtifactError
from ml_platform.core.settings import Settings
from ml_platform.registry import dossier, lookup
from ml_platform.registry.approval import Decision, SelfApprovalError, decision_of
from ml_platform.registry.audit import find_breaks, find_unrecorded
from ml_platform.registry.card import CardTooLongError
from ml_platform.registry.dossier import EvidenceError
from ml_platform.registry.model_package import decided
from ml_platform.resources.evidence import CARD_PAGE, DEPENDENCIES, StaleEvidenceError
from ml_platform.resources.registration import NotPromotableError
from tests.contract.governance_world import NOW, GovernanceWorld

POLICIES = {"gate policy": "g1", "decision policy": "m1"}


@pytest.fixture
def world(sagemaker_settings: Settings) -> GovernanceWorld:
    """A landed day, and a model that nobody registered yet."""
    world = GovernanceWorld(sagemaker_settings, f"m{uuid.uuid4().hex[:12]}")
    world.land()
    return world


def acts(world: GovernanceWorld) -> list[tuple[str, str]]:
    return [(record.act, record.by) for record in world.governance.trail.records()]


def approve(
    world: GovernanceWorld, package: model_packages.ModelPackage, by: str = "rita"
) -> model_packages.ModelPackage:
    return world.governance.approve(package, by=by, reason="figures hold", at=NOW, policies=POLICIES)


def card_status(world: GovernanceWorld, package: model_packages.ModelPackage) -> str:
    card = model_cards.describe(world.settings.region, world.governance.evidence.card_name(package.version))
    assert card is not None
    return card.status


def test_a_package_comes_with_its_card_its_page_its_dependencies_and_a_stage(world: GovernanceWorld) -> None:
    package = world.register()
    store = world.governance.store
    assert (package.status, package.stage, package.stage_status) == (
        "PendingManualApproval",
        "Proposal",
        "PendingApproval",
    )
    card = model_cards.describe(world.settings.region, world.governance.evidence.card_name(package.version))
    assert card is not None
    assert card.status == "PendingReview"
    assert "90 % interval" in card.content
    page = store.get(store.key(package.properties[CARD_PAGE])).decode()
    assert "0.6100 to 0.7300" in page
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)" in page
    listed = json.loads(store.get(store.key(package.properties[DEPENDENCIES])))
    assert listed["bomFormat"] == "CycloneDX"
    assert "lightgbm" in {part["name"] for part in listed["components"]}
    assert acts(world) == [("register", "tina")]


def test_registering_again_is_one_package_one_card_and_one_record(world: GovernanceWorld) -> None:
    first, again = world.register(), world.register()
    assert again.arn == first.arn
    assert acts(world) == [("register", "tina")]
    card = model_cards.describe(world.settings.region, world.governance.evidence.card_name(first.version))
    assert card is not None
    assert card.version == 1


def test_another_person_approves_and_the_card_says_who(world: GovernanceWorld) -> None:
    approved = approve(world, world.register())
    assert (approved.status, approved.stage, approved.stage_status) == ("Approved", "Production", "Approved")
    card = model_cards.describe(world.settings.region, world.governance.evidence.card_name(approved.version))
    assert card is not None
    assert card.status == "Approved"
    assert "Approved by rita" in card.content
    assert acts(world) == [("register", "tina"), ("approve", "rita")]


def test_who_trained_a_model_cannot_approve_it_but_may_reject_it(world: GovernanceWorld) -> None:
    package = world.register(trained_by="tina")
    with pytest.raises(SelfApprovalError, match="trained by tina"):
        approve(world, package, by="Tina")
    assert lookup.latest_approved(world.settings.region, package.group) is None
    rejected = world.governance.reject(package, by="tina", reason="I was wrong", at=NOW)
    assert rejected.status == "Rejected"
    assert "I was wrong" in rejected.approval_description
    assert [act for act, _ in acts(world)] == ["register", "refuse", "reject"]


def test_a_report_that_was_tampered_with_is_refused(world: GovernanceWorld) -> None:
    package = world.register()
    store = world.governance.store
    key = store.key(package.properties[dossier.ADDRESS])
    store.put(key, store.get(key).replace(b"0.67", b"0.97"))
    with pytest.raises(EvidenceError, match="changed after it was registered"):
        approve(world, package)
    assert lookup.latest_approved(world.settings.region, package.group) is None


def test_a_truncated_artifact_is_refused_before_anything_is_registered(world: GovernanceWorld) -> None:
    candidate = world.candidate()
    store = world.governance.store
    whole = store.get(store.key(candidate.artifact_uri))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GovernanceWorld, "candidate", lambda _: candidate)
        store.put(store.key(candidate.artifact_uri), whole[: len(whole) // 2])
        with pytest.raises(ArtifactError):
            world.register()
    assert acts(world) == []


def test_an_artifact_that_is_another_models_is_refused_at_approval(world: GovernanceWorld) -> None:
    package = world.register()
    other = GovernanceWorld(world.settings, "another").candidate()
    store = world.governance.store
    store.put(store.key(package.artifact_uri), store.get(store.key(other.artifact_uri)))
    with pytest.raises(ArtifactError, match="another model's artifact"):
        approve(world, package)


def test_a_card_too_long_for_sagemaker_is_refused_and_nothing_is_registered(world: GovernanceWorld) -> None:
    parameters = {f"parameter-{number}": "x" * 200 for number in range(500)}
    with pytest.raises(CardTooLongError, match="training_details") as refused:
        world.register(declared=world.declared(parameters=parameters))
    assert "100,000" in str(refused.value)
    assert acts(world) == []


def test_evidence_older_than_the_policies_is_not_registered(world: GovernanceWorld) -> None:
    with pytest.MonkeyPatch.context() as patch:
        evidence = world.evidence(policies={"gate policy": "looser"})
        patch.setattr(GovernanceWorld, "evidence", lambda _self, **_: evidence)
        with pytest.raises(NotPromotableError, match="gate policy changed"):
            world.register()


def test_a_changed_policy_or_a_corrected_day_makes_evidence_stale_and_is_named(world: GovernanceWorld) -> None:
    package = world.register()
    world.land("corrected")
    with pytest.raises(StaleEvidenceError) as refused:
        world.governance.approve(
            package, by="rita", reason="-", at=NOW, policies={**POLICIES, "gate policy": "stricter"}
        )
    assert "gate policy changed" in str(refused.value)
    assert "payments/transactions was corrected for 2026-02-10" in str(refused.value)
    assert "decision policy" not in str(refused.value)


def test_an_approval_is_void_at_deployment_when_its_evidence_became_stale(world: GovernanceWorld) -> None:
    package = approve(world, world.register())
    world.governance.require_deployable(package, POLICIES, at=NOW)
    world.land("corrected")
    with pytest.raises(StaleEvidenceError, match="corrected"):
        world.governance.require_deployable(package, POLICIES, at=NOW)
    assert lookup.latest_approved(world.settings.region, package.group) is None
    assert acts(world)[-1] == ("void", "the deployment")
    assert card_status(world, package) == "PendingReview"


def test_a_package_whose_report_was_tampered_with_can_be_rejected(world: GovernanceWorld) -> None:
    package = world.register()
    store = world.governance.store
    store.put(store.key(package.properties[dossier.ADDRESS]), b"{}")
    rejected = world.governance.reject(package, by="rita", reason="its evidence was changed", at=NOW)
    assert rejected.status == "Rejected"
    assert acts(world)[-1] == ("reject", "rita")


def test_a_rollback_is_on_record_on_the_cards_and_names_who_asked_for_it(world: GovernanceWorld) -> None:
    left = approve(world, world.register())
    late = NOW + timedelta(days=3)
    model_packages.set_status(
        world.settings.region, left.arn, "Rejected", "Rejected by olaf: worse", decided("olaf", late)
    )
    world.governance.record_rollback(left, [], by="olaf", reason="worse", at=late)
    (after,) = lookup.list_packages(world.settings.region, left.group)
    assert decision_of(after) == Decision(status="Rejected", by="olaf", at=late, reason="worse")
    assert acts(world)[-1] == ("rollback", "olaf")
    assert card_status(world, after) == "PendingReview"


def test_an_approval_expires_unless_it_was_live(world: GovernanceWorld) -> None:
    package = approve(world, world.register())
    late = NOW + timedelta(days=world.settings.approval_valid_days)
    world.governance.require_deployable(package, POLICIES, at=late - timedelta(seconds=1))
    with pytest.raises(StaleEvidenceError, match="expired on 2026-06-30"):
        world.governance.require_deployable(package, POLICIES, at=late)
    assert acts(world)[-1][0] == "expire"
    pending = lookup.list_packages(world.settings.region, package.group)[0]
    again = approve(world, pending)
    before = acts(world)
    assert approve(world, again, by="ada").properties["decided_by"] == "rita", "it is approved already"
    assert acts(world) == before
    renewed = world.governance.approve(again, by="ada", reason="still holds", at=late, policies=POLICIES)
    assert decision_of(renewed) == Decision(status="Approved", by="ada", at=late, reason="still holds")
    assert [act for act, _ in acts(world)[-2:]] == ["expire", "approve"]
    world.governance.record_deployment(again, by="rita", changed=True, at=NOW)
    live = lookup.list_packages(world.settings.region, package.group)[0]
    world.governance.require_deployable(live, POLICIES, at=late + timedelta(days=900))


def test_the_status_says_what_is_stale_and_which_approval_expired(world: GovernanceWorld) -> None:
    def said(at: datetime) -> dict[int, list[str]]:
        packages = lookup.list_packages(world.settings.region, names.model_package_group(world.model))
        return doubts(world.governance, packages, None, at)

    package = approve(world, world.register())
    late = NOW + timedelta(days=world.settings.approval_valid_days)
    assert said(NOW) == {}
    (expired,) = said(late)[package.version]
    assert "expired on 2026-06-30" in expired
    world.land("corrected")
    assert "payments/transactions was corrected for 2026-02-10" in said(NOW)[package.version][0]
    world.governance.record_deployment(package, by="rita", changed=True, at=NOW)
    assert len(said(late)[package.version]) == 1, "an approval that was deployed does not expire"


def test_new_evidence_takes_the_place_of_stale_evidence_and_asks_for_a_new_decision(world: GovernanceWorld) -> None:
    before = approve(world, world.register())
    world.land("corrected")
    after = world.register()
    assert after.arn == before.arn
    assert after.status == "PendingManualApproval"
    assert after.properties[dossier.DIGEST] != before.properties[dossier.DIGEST]
    assert approve(world, after).approved


def test_a_trail_that_was_changed_cut_or_gone_around_is_found(world: GovernanceWorld) -> None:
    package = approve(world, world.register())
    trail, store = world.governance.trail, world.governance.store
    whole = list(trail.records())
    assert find_breaks(whole) == []
    forged = whole[0].model_copy(update={"by": "somebody else"})
    assert "record 1 was changed: its content does not have its hash" in find_breaks([forged, whole[1]])
    assert "does not follow" in find_breaks([forged.sealed(), whole[1]])[0]
    assert find_breaks(whole[1:]) == ["record 1 is missing: record 2 follows"]
    packages = lookup.list_packages(world.settings.region, package.group)
    assert find_unrecorded(packages, whole) == []
    assert "no record says by whom" in find_unrecorded(packages, whole[:1])[0]
    store.delete([f"audit/{world.model}/00000002.json"])
    assert find_unrecorded(packages, trail.records()) != []


def test_the_approver_of_a_decision_is_who_approved_before_it_whatever_was_decided_since(
    world: GovernanceWorld,
) -> None:
    package, trail = approve(world, world.register()), world.governance.trail
    world.governance.reject(package, by="olaf", reason="complaints", at=NOW + timedelta(days=2))
    again = lookup.list_packages(world.settings.region, package.group)[0]
    later = NOW + timedelta(days=4)
    world.governance.approve(again, by="ada", reason="it was not the model", at=later, policies=POLICIES)
    found = [trail.approval_before(package.arn, NOW + timedelta(days=days)) for days in (1, 3, 5)]
    assert [record.by for record in found if record] == ["rita", "rita", "ada"]
    assert trail.approval_before(package.arn, NOW - timedelta(days=1)) is None


def test_a_record_is_never_written_over(world: GovernanceWorld) -> None:
    from ml_platform.aws.sealed_objects import put_once

    world.register()
    key = f"audit/{world.model}/00000001.json"
    before = world.governance.store.get(key)
    assert not put_once(world.governance.store, key, b"{}")
    assert world.governance.store.get(key) == before
