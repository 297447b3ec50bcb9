"""Explains a candidate on its holdout, beside the live champion; what is made of it is ``evaluation.explanations``."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from ml_platform.evaluation.explanations import Explanations
    from ml_platform.modeling.pipeline import FittedPipeline
    from ml_platform.resources.model_evaluator import Evaluation

MAX_ROWS = 5000
"""TreeSHAP costs about twenty times a score: whole cards are taken, in one shuffled order, until there are so many."""
MIN_ROWS = 250
ROWS_OF_A_MEGABYTE = 5000
"""Fully grown forests cost milliseconds a row: the larger a model's file, the fewer rows."""


def explain_candidate(evaluation: "Evaluation", min_agreement: float) -> "Explanations":
    """Return what a candidate decides by, and how far its reasons are those of the champion it was held against."""
    import pandas as pd

    from ml_platform.evaluation.explanations import Explanations, importance_by_card, judge_reasons, reasons_in_common
    from ml_platform.modeling.reasons import contributions_of

    rows = some_cards(evaluation.holdout, rows_for(evaluation.challenger, evaluation.champion))
    evidence, pipeline, champion = evaluation.evidence, evaluation.challenger, evaluation.champion
    found = contributions_of(pipeline, pipeline.signature.values(rows))
    in_common = None
    if champion is not None and found is not None:
        theirs = contributions_of(champion, champion.signature.values(rows))
        if theirs is not None:
            ours = (found, pipeline.signature.features)
            in_common = reasons_in_common(ours, (theirs, champion.signature.features))
    cards = pd.factorize(rows["customer_id"])[0]
    return Explanations(
        model=evidence.model,
        candidate_fingerprint=evidence.candidate_fingerprint,
        rows=len(rows),
        importance=() if found is None else importance_by_card(found, pipeline.signature.features, cards),
        champion_version=evidence.champion_version,
        agreement=in_common,
        failures=judge_reasons(found, in_common, min_agreement, champion=evidence.champion_version).failures,
    )


def rows_for(*models: "FittedPipeline | None") -> int:
    """Return how many rows are explained by these models, so that it takes seconds whatever they are."""
    largest = max(len(model.estimator.to_bytes()) for model in models if model is not None)
    return min(MAX_ROWS, max(MIN_ROWS, int(ROWS_OF_A_MEGABYTE * 1e6 / largest)))


def some_cards(rows: "pd.DataFrame", most: int = MAX_ROWS) -> "pd.DataFrame":
    """Return the rows of as many whole cards as make up ``most`` rows; all of them when there are no more."""
    if len(rows) <= most:
        return rows.reset_index(drop=True)
    counts = rows["customer_id"].value_counts().sort_index().sample(frac=1, random_state=0)
    taken = counts.index[counts.cumsum() <= most]
    return rows[rows["customer_id"].isin(taken)].reset_index(drop=True)
