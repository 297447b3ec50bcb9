"""The model card in SageMaker's schema, written from a package's dossier.

Each text has the schema's limit. A text that is too long is cut with a note that says so and where the whole is;
a card that is too long even so is refused. The page for people is ``card_page``.
"""

import json
from collections.abc import Iterator
from typing import Any

from ml_platform.aws.model_cards import MAX_CONTENT
from ml_platform.core.errors import MLPlatformError
from ml_platform.registry.approval import Decision
from ml_platform.registry.dossier import CardFacts, Dossier, Figure, SliceFigure

SHORT, MIDDLE, LONG = 255, 1024, 2048
"""The schema's limits: of names and values, of descriptions, of explanations."""
_CUT = " … shortened; the whole is in the dossier"
_SPOKEN_RISK = "Payments are declined or held for review on its score; a person may ask for a review of each."


class CardTooLongError(MLPlatformError):
    """The card does not fit in what SageMaker takes."""


def card_content(dossier: Dossier, decision: Decision | None = None) -> str:
    """Return the content of a card as JSON.

    Args:
        dossier: Of the package.
        decision: Who approved or rejected it, when somebody did.

    Raises:
        CardTooLongError: With what takes the room, and what to do.
    """
    facts = dossier.facts
    content = {
        "model_overview": _overview(facts),
        "intended_uses": _uses(facts),
        "business_details": {
            "business_problem": cut(facts.purpose, LONG),
            "business_stakeholders": cut(facts.owner, LONG),
        },
        "training_details": _training(facts),
        "evaluation_details": [_evaluation(facts), *_by_slice(facts)],
        "additional_information": _additional(facts, decision),
    }
    text = json.dumps(content, sort_keys=True, allow_nan=False)
    if len(text) > MAX_CONTENT:
        sizes = {name: len(json.dumps(part)) for name, part in content.items()}
        most = max(sizes, key=lambda name: sizes[name])
        raise CardTooLongError(
            f"The model card of {facts.model} has {len(text):,} characters, SageMaker takes {MAX_CONTENT:,}. "
            f"{sizes[most]:,} of them are {most}: declare fewer slices, features or parameters, and register again. "
            "Nothing was registered."
        )
    return text


def cut(text: str, limit: int) -> str:
    """Return a text within a limit; a cut is said."""
    return text if len(text) <= limit else f"{text[: limit - len(_CUT)]}{_CUT}"


def _overview(facts: CardFacts) -> dict[str, Any]:
    return {
        "model_description": cut(facts.purpose, MIDDLE),
        "model_owner": cut(facts.owner, MIDDLE),
        "model_creator": cut(facts.trained_by, MIDDLE),
        "model_artifact": [cut(facts.artifact_uri, MIDDLE)],
        "algorithm_type": "LightGBM, calibrated on a window of its own",
        "problem_type": "Binary classification",
        "inference_environment": {"container_image": [facts.image]},
    }


def _uses(facts: CardFacts) -> dict[str, Any]:
    return {
        "purpose_of_model": cut(facts.purpose, LONG),
        "intended_uses": cut(
            f"Scores of {facts.target} from the {len(facts.features)} features of {facts.feature_service}. "
            "Other payments, labels or decisions than these were not evaluated.",
            LONG,
        ),
        "factors_affecting_model_efficiency": cut("; ".join(facts.limits) or "none known", LONG),
        "risk_rating": "High",
        "explanations_for_risk_rating": _SPOKEN_RISK,
    }


def _training(facts: CardFacts) -> dict[str, Any]:
    return {
        "objective_function": {
            "function": {"function": "Minimize", "facet": "Loss", "condition": "log loss"},
            "notes": "Binary cross-entropy",
        },
        "training_observations": cut(f"{facts.label_policy} {_windows(facts)}", MIDDLE),
        "training_job_details": {
            "training_arn": facts.training_job_arn,
            "training_datasets": [cut(split.uri, MIDDLE) for split in facts.splits],
            "training_environment": {"container_image": [facts.image]},
            "user_provided_hyper_parameters": [
                {"name": cut(name, SHORT), "value": cut(value, SHORT)}
                for name, value in sorted(facts.parameters.items())
            ],
        },
    }


def _windows(facts: CardFacts) -> str:
    return " ".join(
        f"{split.name}: {split.rows:,} payments, {split.positives:,} positives, {split.first_day} to {split.last_day}."
        for split in facts.splits
    )


def _evaluation(facts: CardFacts) -> dict[str, Any]:
    replaced = (
        f"Replaces version {facts.replaces_version}: {facts.replaces_because}"
        if facts.replaces_version
        else "The first model: nothing to replace."
    )
    return {
        "name": "holdout",
        "evaluation_observation": cut(replaced, LONG),
        "datasets": [cut(split.uri, MIDDLE) for split in facts.splits if split.name == "holdout"],
        "metric_groups": [
            {"name": "figures", "metric_data": [datum for figure in facts.figures for datum in _data_of(figure)]}
        ],
    }


def _data_of(figure: Figure) -> Iterator[dict[str, Any]]:
    yield _number(figure.name, figure.value, interval(figure.low, figure.high))
    if figure.champion is not None:
        yield _number(f"{figure.name} of the version before", figure.champion, "on the same rows")
    if figure.gain is not None:
        yield _number(f"gain in {figure.name}", figure.gain, interval(figure.gain_low, figure.gain_high))


def _by_slice(facts: CardFacts) -> list[dict[str, Any]]:
    if not facts.slices:
        return []
    return [
        {
            "name": "recall by slice",
            "evaluation_observation": cut(
                "Share of positives found while one genuine payment in a hundred is disturbed. "
                f"Too few positives to judge: {', '.join(facts.small_slices) or 'none'}.",
                LONG,
            ),
            "metric_groups": [{"name": "recall", "metric_data": [_slice(found) for found in facts.slices]}],
        }
    ]


def _slice(found: SliceFigure) -> dict[str, Any]:
    support = (
        f"{interval(found.recall_low, found.recall_high)}; {found.positives} positives in {found.rows} rows; "
        f"difference {interval(found.low, found.high)}"
    )
    return _number(found.name, found.recall, support)


def _number(name: str, value: float, notes: str) -> dict[str, Any]:
    return {"name": cut(name, SHORT), "type": "number", "value": value, "notes": cut(notes, MIDDLE)}


def interval(low: float | None, high: float | None) -> str:
    """Return an interval in words."""
    return "no interval known" if low is None or high is None else f"90 % interval {low:+.4f} to {high:+.4f}"


def _additional(facts: CardFacts, decision: Decision | None) -> dict[str, Any]:
    details = {
        "candidate_fingerprint": facts.fingerprint,
        "trained_by": facts.trained_by,
        "dagster_run": facts.run_id,
        "decided": decision.in_words() if decision else "nobody has decided yet",
        **{f"gate_{name}": value for name, value in facts.gate.items()},
    }
    return {
        "ethical_considerations": cut(
            "No attribute of a person is a feature. Slices stand in for groups that such a model could treat "
            "differently; amounts, hours, and new cards or terminals are judged one by one by the gate.",
            LONG,
        ),
        "caveats_and_recommendations": cut("; ".join(facts.limits) or "none known", LONG),
        "custom_details": {name: cut(value, MIDDLE) for name, value in details.items() if value},
    }
