"""Explains a candidate on its holdout, beside the live champion; what is made of it is ``evaluation.explanations``."""

from typing import TYPE_CHECKING

from ml_platform.aws.objects import ObjectStore
from ml_platform.core import names
from ml_platform.core.settings import Settings
from ml_platform.resources.artifacts import load_model

if TYPE_CHECKING:
    import pandas as pd

    from ml_platform.evaluation.explanations import Explanations
    from ml_platform.features.offline.training_set_spec import TrainingSetManifest
    from ml_platform.modeling.pipeline import FittedPipeline
    from ml_platform.training.run import Candidate

MAX_ROWS = 5000
"""TreeSHAP costs a hundred times a score: whole cards are taken, in one shuffled order, until there are so many."""


def explain_candidate(
    settings: Settings,
    store: ObjectStore,
    training_set: "TrainingSetManifest",
    candidate: "Candidate",
    min_agreement: float,
) -> "Explanations":
    """Return what a candidate decides by, and how far its reasons are those of the live model."""
    import pandas as pd

    from ml_platform.evaluation.explanations import Explanations, importance_by_card, judge_reasons, reasons_in_common
    from ml_platform.features.offline.training_set import read_split
    from ml_platform.modeling.reasons import contributions_of
    from ml_platform.registry import lookup

    rows = some_cards(read_split(store, training_set, "holdout").to_pandas())
    pipeline = load_model(store, candidate.artifact_uri).pipeline
    found = contributions_of(pipeline, pipeline.signature.values(rows))
    live = lookup.live_package(settings.region, names.endpoint(candidate.model))
    in_common = None
    if live is not None and found is not None:
        champion = load_model(store, live.package.artifact_uri).pipeline
        theirs = contributions_of(champion, champion.signature.values(rows)) if _reads(champion, rows) else None
        if theirs is not None:
            ours = (found, pipeline.signature.features)
            in_common = reasons_in_common(ours, (theirs, champion.signature.features))
    version = live.package.version if live else None
    cards = pd.factorize(rows["customer_id"])[0]
    return Explanations(
        model=candidate.model,
        candidate_fingerprint=candidate.fingerprint,
        rows=len(rows),
        importance=() if found is None else importance_by_card(found, pipeline.signature.features, cards),
        champion_version=version,
        agreement=in_common,
        failures=judge_reasons(found, in_common, min_agreement, champion=version).failures,
    )


def some_cards(rows: "pd.DataFrame", most: int = MAX_ROWS) -> "pd.DataFrame":
    """Return the rows of as many whole cards as make up ``most`` rows; all of them when there are no more."""
    if len(rows) <= most:
        return rows.reset_index(drop=True)
    counts = rows["customer_id"].value_counts().sort_index().sample(frac=1, random_state=0)
    taken = counts.index[counts.cumsum() <= most]
    return rows[rows["customer_id"].isin(taken)].reset_index(drop=True)


def _reads(pipeline: "FittedPipeline", rows: "pd.DataFrame") -> bool:
    return set(pipeline.signature.features) <= set(rows.columns)
