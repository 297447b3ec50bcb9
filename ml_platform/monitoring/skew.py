"""Skew: payments were served other features than the offline store holds; how many, which, and why.

Pure. A difference has a cause when that cause alone would have served exactly what was served, for all features of
the view at once: one number that happens to fit proves nothing. Values under each cause come from ``features.skew``.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from ml_platform.core.svg import bars
from ml_platform.core.verdict import Verdict

if TYPE_CHECKING:
    import polars as pl

Cause = Literal["late_data", "time_to_live", "missed_materialization", "code"]

MEANING: Mapping[Cause, str] = {
    "late_data": "what was served was right when it was served; rows that came or were corrected later changed it",
    "time_to_live": "an expired row was served, which the offline store no longer counts",
    "missed_materialization": "the online store was behind: it served the values of an earlier day",
    "code": "no data explains it: online and offline compute, transform or default the feature differently",
}
"""What each cause means, in a sentence; ``docs/skew.md`` says what to do about each."""

ID = "transaction_id"
_TOLERANCE = 1e-9


class SkewPolicy(BaseModel):
    """How much skew is too much."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_skew_rate: float = Field(
        default=0.01, ge=0, le=1, description="Share of the compared requests with any feature served wrong."
    )
    min_compared_share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Share of the captured requests whose payment must have landed; before that it is too early.",
    )


class SkewReport(BaseModel):
    """What was compared and what differed."""

    model_config = ConfigDict(frozen=True)

    model: str
    package_arn: str
    judged_at: datetime
    captured: int = Field(description="Captured requests of one payment each.")
    compared: int = Field(description="Those whose payment has landed, so that the offline store can be asked.")
    values: int = Field(description="Feature values compared.")
    skewed: int = Field(description="Requests with at least one value that differs.")
    by_cause: dict[Cause, int] = Field(description="Differing values by cause.")
    by_feature: dict[str, dict[Cause, int]] = Field(description="Differing values by feature and cause.")
    rows_uri: str | None = Field(default=None, description="Parquet of every differing value with its cause.")
    judged: bool = Field(description="Whether enough payments have landed to judge.")
    failures: tuple[str, ...]

    @property
    def skew_rate(self) -> float | None:
        """Share of the compared requests with any feature served wrong; None when none was compared."""
        return self.skewed / self.compared if self.compared else None

    @property
    def verdict(self) -> Verdict:
        """Passed when the served features are those of the offline store, but for the accepted share."""
        return Verdict(self.failures)

    def chart(self) -> str:
        """Draw the differing values by feature."""
        totals = {name: float(sum(causes.values())) for name, causes in self.by_feature.items()}
        return bars(list(totals), list(totals.values()), title="values served wrong", digits=0)


def differing_rows(served: "pl.DataFrame", offline: "pl.DataFrame", features: Sequence[str]) -> "pl.Series":
    """Return which rows differ in any of these features; both frames hold the same requests in the same order."""
    import polars as pl

    equal = pl.DataFrame({name: _equal(served[name], offline[name]) for name in features})
    return ~equal.select(pl.all_horizontal(pl.all())).to_series()


def explain(
    served: "pl.DataFrame",
    offline: "pl.DataFrame",
    would_have_been: Sequence[tuple[Cause, "pl.DataFrame"]],
    view_of: Mapping[str, str | None],
    rewritten: "Mapping[str, pl.Series]",
) -> "pl.DataFrame":
    """Return every differing value with its cause: ``transaction_id, feature, served, offline, cause``.

    Args:
        served: Requests as captured: id and features.
        offline: What the offline store says of them today, in the same order.
        would_have_been: What would have been served under a cause, as often as it has variants; the first that fits
            counts.
        view_of: View of each feature; None for what the request itself brings.
        rewritten: By view, of each request, whether the table's rows were rewritten since it was served, by the same
            definitions. A view without a table has none.
    """
    import polars as pl

    found = []
    for view in dict.fromkeys(view_of.values()):
        features = [name for name, of in view_of.items() if of == view]
        if view is None:  # the request's own value is not that of the payment that landed: corrected since
            cause = pl.repeat("late_data", served.height, eager=True)
        else:
            cause = _cause(served, would_have_been, features, rewritten.get(view))
        found += [
            pl.DataFrame(
                {
                    ID: served[ID],
                    "feature": pl.repeat(name, served.height, eager=True),
                    "served": served[name].cast(pl.Float64),
                    "offline": offline[name].cast(pl.Float64),
                    "cause": cause,
                }
            ).filter(~_equal(served[name], offline[name]))
            for name in features
        ]
    return pl.concat(found)


def _cause(
    served: "pl.DataFrame",
    would_have_been: Sequence[tuple[Cause, "pl.DataFrame"]],
    features: Sequence[str],
    rewritten: "pl.Series | None",
) -> "pl.Series":
    """Return the cause of each request's differences in one view, whether it has any or not."""
    import polars as pl

    fitting = [
        pl.when(pl.lit(~differing_rows(served, frame, features))).then(pl.lit(name)) for name, frame in would_have_been
    ]
    late = [pl.when(pl.lit(rewritten)).then(pl.lit("late_data"))] if rewritten is not None else []
    return served.select(pl.coalesce(*fitting, *late, pl.repeat("code", pl.len()))).to_series()


def judge_skew(
    differences: "pl.DataFrame",
    policy: SkewPolicy,
    *,
    model: str,
    package_arn: str,
    judged_at: datetime,
    captured: int,
    compared: int,
    features: int,
) -> SkewReport:
    """Judge the differences that ``explain`` found.

    Args:
        differences: One row per differing value, with its cause.
        policy: The limits.
        model: Name of the model.
        package_arn: The package that was served.
        judged_at: Instant of the judgement.
        captured: Captured requests of one payment each.
        compared: Those that could be compared.
        features: Features compared of each.
    """
    skewed = differences[ID].n_unique()
    early = tuple(_too_early(captured, compared, policy))
    by_feature: dict[str, dict[Cause, int]] = {}
    for feature, cause, count in differences.group_by("feature", "cause").len().sort("feature", "cause").iter_rows():
        by_feature.setdefault(feature, {})[cause] = count
    by_cause = dict(differences["cause"].value_counts(sort=True).iter_rows())
    over = compared and skewed / compared > policy.max_skew_rate
    return SkewReport(
        model=model,
        package_arn=package_arn,
        judged_at=judged_at,
        captured=captured,
        compared=compared,
        values=compared * features,
        skewed=skewed,
        by_cause=by_cause,
        by_feature=by_feature,
        judged=not early,
        failures=early + (tuple(_reasons(skewed, compared, by_cause, by_feature, policy)) if over else ()),
    )


def _too_early(captured: int, compared: int, policy: SkewPolicy) -> Iterator[str]:
    if not captured:
        yield "no request of a single payment was captured: there is nothing to compare"
    elif compared / captured < policy.min_compared_share:
        yield (
            f"of {captured} captured requests only {compared} have a payment that landed "
            f"({compared / captured:.0%} < {policy.min_compared_share:.0%}): too early to tell"
        )


def _reasons(
    skewed: int,
    compared: int,
    by_cause: Mapping[Cause, int],
    by_feature: Mapping[str, Mapping[Cause, int]],
    policy: SkewPolicy,
) -> Iterator[str]:
    yield (
        f"{skewed} of {compared} requests were served other features than the offline store holds "
        f"({skewed / compared:.2%} > {policy.max_skew_rate:.2%})"
    )
    for cause, count in by_cause.items():
        hit = sorted((name for name in by_feature if cause in by_feature[name]), key=lambda n: -by_feature[n][cause])
        others = f" and {len(hit) - 3} more" if len(hit) > 3 else ""  # noqa: PLR2004  # three names are read, ten are not
        yield f"{cause}: {count} values of {', '.join(hit[:3])}{others}; {MEANING[cause]}"


def _equal(left: "pl.Series", right: "pl.Series") -> "pl.Series":
    """Which values are the same number, or both missing."""
    import polars as pl

    a, b = (values.cast(pl.Float64).fill_nan(None) for values in (left, right))
    close = (a - b).abs() <= _TOLERANCE * pl.select(pl.max_horizontal(a.abs(), b.abs(), 1.0)).to_series()
    return close.fill_null(value=False) | (a.is_null() & b.is_null())
