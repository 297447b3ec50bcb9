"""What there is to say about one model now: gathered from SageMaker and from the manifests of its assets.

SageMaker is asked what is live and what is registered; manifests only say what was judged and decided. How it
looks on a screen is ``status``.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from ml_platform.aws import endpoints
from ml_platform.aws.manifests import Manifests
from ml_platform.aws.model_packages import APPROVED, PENDING, ModelPackage
from ml_platform.aws.objects import ObjectNotFoundError, ObjectStore
from ml_platform.core import names
from ml_platform.core.clock import utc_now
from ml_platform.core.settings import Settings
from ml_platform.modeling.declared_metrics import METRICS
from ml_platform.registry import lookup
from ml_platform.resources.deciding_policy import DecidingPolicy, deciding_policy
from ml_platform.resources.governance import Governance

HEADLINE = ("average_precision", "roc_auc", "card_precision_at_100")


class Package(BaseModel):
    """One version in the registry."""

    version: int
    approval: str
    reason: str = ""
    arn: str


class Live(BaseModel):
    """What the endpoint serves."""

    endpoint: str
    endpoint_status: str
    since: datetime
    package: Package | None
    failure_reason: str | None = None


class Judgement(BaseModel):
    """A verdict that an asset left behind: short outcome, reasons, figures, and when."""

    outcome: str
    reasons: list[str] = []
    figures: dict[str, float] = {}
    compared_with: dict[str, float] = {}
    """The same figures of the champion, or as promised at the gate."""
    at: str | None = None
    about_version: int | None = None
    """The version that was live when it was judged; None for the gate's, and where nobody wrote it down."""


class ModelStatus(BaseModel):
    """Everything about one model; None means: not yet."""

    model: str
    live: Live | None = None
    policy: DecidingPolicy | None = None
    newest_package: Package | None = None
    pending_versions: list[int] = []
    doubts: dict[int, list[str]] = {}
    """What speaks against relying on what is live, and on the newest pending and approved version, by version."""
    last_gate: Judgement | None = None
    last_drift: Judgement | None = None
    last_performance: Judgement | None = None
    last_decision: Judgement | None = None


def model_status(settings: Settings, model: str, policies: Mapping[str, str] | None = None) -> ModelStatus:
    """Return the state of one model; ``policies`` are those declared now, and None are not compared."""
    registered = lookup.list_packages(settings.region, names.model_package_group(model))
    packages = [
        Package(version=found.version, approval=found.status, reason=found.approval_description, arn=found.arn)
        for found in registered
    ]
    store = ObjectStore.from_settings(settings)
    manifests = Manifests(store, model)
    live = _live(settings, model, packages, _document(manifests, "live_endpoint"))
    served = live.package.arn if live and live.package else None
    return ModelStatus(
        model=model,
        live=live,
        policy=deciding_policy(
            store, model, next((found for found in registered if found.arn == served), None), policies
        ),
        newest_package=packages[0] if packages else None,
        pending_versions=[found.version for found in packages if found.approval == PENDING],
        doubts=doubts(Governance(settings, model), registered, live.package if live else None, utc_now(), policies),
        last_gate=_gate(_document(manifests, "evaluation_report")),
        last_drift=_drift(_document(manifests, "drift_report")),
        last_performance=_performance(_document(manifests, "performance_report")),
        last_decision=_decision(_document(manifests, "operating_decision")),
    )


def doubts(
    governance: Governance,
    registered: Sequence[ModelPackage],
    live: Package | None,
    now: datetime,
    policies: Mapping[str, str] | None = None,
) -> dict[int, list[str]]:
    """Return what speaks against the packages that matter now; one without doubts is left out."""
    newest = {found.status: found.arn for found in reversed(registered)}
    matter = {newest.get(PENDING), newest.get(APPROVED), live.arn if live else None}
    found = {one.version: list(governance.doubts(one, policies, at=now)) for one in registered if one.arn in matter}
    return {version: said for version, said in found.items() if said}


def _live(settings: Settings, model: str, packages: list[Package], deployed: Mapping[str, Any] | None) -> Live | None:
    state = endpoints.describe(settings.region, names.endpoint(model))
    if state is None:
        return None
    arn = endpoints.package_of_config(settings.region, state.config) if state.config else None
    return Live(
        endpoint=state.name,
        endpoint_status=state.status,
        since=_since(state, deployed),
        package=next((package for package in packages if package.arn == arn), None),
        failure_reason=state.failure_reason,
    )


def _since(state: endpoints.EndpointState, deployed: Mapping[str, Any] | None) -> datetime:
    """Since when this config serves: as the deployment recorded it, for any later touch moves SageMaker's own time."""
    if deployed and deployed.get("config") == state.config and deployed.get("since"):
        return datetime.fromisoformat(deployed["since"])
    return state.changed_at


def _document(manifests: Manifests, asset: str) -> Mapping[str, Any] | None:
    """Return a manifest as it is: a status must not fail on a document of another version."""
    try:
        document = manifests.store.get_json(manifests.key(asset))
    except ObjectNotFoundError:
        return None
    return document if isinstance(document, dict) else None


def _gate(document: Mapping[str, Any] | None) -> Judgement | None:
    if document is None:
        return None
    return Judgement(
        outcome="stopped" if document.get("failures") else "passed",
        reasons=_reasons(document),
        figures=_headline(document.get("challenger")),
        compared_with=_headline(document.get("champion")),
        at=_when(document),
    )


def _drift(document: Mapping[str, Any] | None) -> Judgement | None:
    if document is None:
        return None
    return Judgement(
        outcome=_outcome(document, "no drift", "drifted"),
        reasons=_reasons(document),
        at=_when(document),
        about_version=_about(document),
    )


def _performance(document: Mapping[str, Any] | None) -> Judgement | None:
    if document is None:
        return None
    promised = document.get("reference_average_precision")
    return Judgement(
        outcome=_outcome(document, "holds", "decayed"),
        reasons=_reasons(document),
        figures=_headline(document.get("matured")),
        compared_with={} if promised is None else {"average_precision": float(promised)},
        at=_when(document),
        about_version=_about(document),
    )


def _decision(document: Mapping[str, Any] | None) -> Judgement | None:
    if document is None:
        return None
    action = str(document.get("action", "unknown")).replace("_", " ")
    return Judgement(
        outcome=action, reasons=[*document.get("reasons", ())], at=_when(document), about_version=_about(document)
    )


def _outcome(document: Mapping[str, Any], well: str, badly: str) -> str:
    """An asset that could not judge says so; that is neither good nor bad."""
    if not document.get("judged", True):
        return "could not be judged"
    return badly if document.get("failures") else well


def _reasons(document: Mapping[str, Any]) -> list[str]:
    return [str(reason) for reason in document.get("failures") or ()]


def _about(document: Mapping[str, Any]) -> int | None:
    version = str(document.get("package_arn") or "").rpartition("/")[2]
    return int(version) if version.isdecimal() else None


def _when(document: Mapping[str, Any]) -> str | None:
    return next((str(document[name]) for name in ("decided_at", "as_of", "last_at") if document.get(name)), None)


def _headline(report: Mapping[str, Any] | None) -> dict[str, float]:
    """Return the figures people look for first; of a model that declares none of them, all it has."""
    known = {name: float(report[name]) for name in METRICS if report.get(name) is not None} if report else {}
    return {name: known[name] for name in HEADLINE if name in known} or known
