"""Prequential folds: train on some days, wait until labels are known, test on the days after; then slide.

Pure. The Fraud Detection Handbook's protocol (Le Borgne et al., chapter 5, "Validation strategies"; Gama et al. 2013,
"On evaluating stream learning algorithms"): random splits would let a model see the future and the same card's other
payments. Cards that are known to be compromised leave a test day, because in truth they are blocked by then.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from ml_platform.modeling.metrics import average_precision, card_precision_at_k, roc_auc
from ml_platform.modeling.prequential import event_days

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

METRICS = ("roc_auc", "average_precision", "card_precision_at_100")


@dataclass(frozen=True, slots=True)
class Fold:
    """Days of one fold; each span includes its start and excludes its end."""

    train_start: date
    train_end: date
    test_start: date
    test_end: date

    @property
    def delay_days(self) -> int:
        """Days between training and test: what it takes until labels are known."""
        return (self.test_start - self.train_end).days


def prequential_folds(
    newest_test_start: date, *, folds: int = 4, train_days: int = 7, delay_days: int = 7, test_days: int = 7
) -> list[Fold]:
    """Return folds that slide back by ``test_days``, newest first; none tests on another's test days.

    Training windows of any length end at the same day, so that their test days are the same.

    Args:
        newest_test_start: First test day of the newest fold.
        folds: How many.
        train_days: Days to train on.
        delay_days: Days before the test whose labels are not known yet when it begins.
        test_days: Days to test on.
    """
    found = []
    for back in range(folds):
        test_start = newest_test_start - timedelta(days=back * test_days)
        train_end = test_start - timedelta(days=delay_days)
        found.append(
            Fold(train_end - timedelta(days=train_days), train_end, test_start, test_start + timedelta(days=test_days))
        )
    return found


def split(
    rows: "pd.DataFrame", fold: Fold, *, compromised_since: date | None = None, card: str = "customer_id"
) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Return a fold's training rows, and its test rows without cards that were known to be compromised.

    On test day ``k`` a card is known when it had a fraud on a training day, or on a later day whose labels are known
    by then: those up to ``delay_days + 1`` days before. (The Handbook counts so: on the first test day labels of the
    day after the training window are not known yet.)

    Args:
        rows: One row per payment with ``event_time`` (UTC), ``label`` and the card.
        fold: Which days.
        compromised_since: First day whose frauds make a card known; default: the Handbook's week before the delay.
        card: Column that names the card.
    """
    import pandas as pd

    days = event_days(rows)
    train = rows[(days >= fold.train_start) & (days < fold.train_end)]
    since = compromised_since or fold.train_end - timedelta(days=7)
    frauds = rows[["label", card]].assign(day=days).query("label == 1")
    tested = []
    for k in range((fold.test_end - fold.test_start).days):
        day = fold.test_start + timedelta(days=k)
        known_until = fold.train_end - timedelta(days=1) + timedelta(days=k)
        known = frauds.loc[(frauds["day"] >= since) & (frauds["day"] <= known_until), card].unique()
        on_day = rows[days == day]
        tested.append(on_day[~on_day[card].isin(known)])
    return train, pd.concat(tested)


Fit = Callable[["pd.DataFrame"], "Callable[[pd.DataFrame], np.ndarray]"]
"""Takes training rows and returns a function from rows to scores of shape (n_rows,)."""


@dataclass(frozen=True, slots=True)
class FoldResults:
    """One model's figures, fold by fold."""

    by_fold: tuple[Mapping[str, float], ...]

    def mean(self, metric: str) -> float:
        """Mean over the folds."""
        return sum(figures[metric] for figures in self.by_fold) / len(self.by_fold)

    def std(self, metric: str) -> float:
        """Standard deviation over the folds, of the population (ddof 0) as the Handbook prints it."""
        mean = self.mean(metric)
        return float((sum((figures[metric] - mean) ** 2 for figures in self.by_fold) / len(self.by_fold)) ** 0.5)


def evaluate_folds(rows: "pd.DataFrame", folds: Sequence[Fold], fit: Fit, *, card: str = "customer_id") -> FoldResults:
    """Fit and test a model on each fold."""
    return FoldResults(tuple(_figures(rows, folds, fit, card)))


def _figures(rows: "pd.DataFrame", folds: Sequence[Fold], fit: Fit, card: str) -> Iterator[Mapping[str, float]]:
    import pandas as pd

    for fold in folds:
        train, test = split(rows, fold, card=card)
        scores = fit(train)(test)
        by_card = pd.DataFrame(
            {"day": event_days(test), "customer_id": test[card].to_numpy(), "label": test["label"].to_numpy()}
        ).assign(score=scores)
        yield {
            "roc_auc": roc_auc(test["label"], scores),
            "average_precision": average_precision(test["label"], scores),
            "card_precision_at_100": card_precision_at_k(by_card),
        }
