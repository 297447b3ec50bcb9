"""What adds up over rows that were known to be frauds.

Such a row counts from ``max(event + delay, known)`` until ``min(event + delay + window, corrected)``. Frauds are about
1 % of payments, so two running sums, one over the beginnings and one over the ends, cost next to nothing.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ml_platform.features.labels.known import known_fraud_intervals
from ml_platform.features.windows.declaration import FeatureTable, WindowFeature
from ml_platform.features.windows.on_polars.line import MICROSECOND, PLACE, ROW, Line, instants
from ml_platform.features.windows.on_polars.rows import Measure, measured, running_sum

if TYPE_CHECKING:
    import polars as pl

_FROM, _UNTIL, _END = "_from", "_until", "_end"


def known_frauds(table: FeatureTable, rows: "pl.DataFrame", labels: "pl.DataFrame") -> "pl.DataFrame":
    """Return which rows, by position, were known as frauds from which microsecond until which."""
    import polars as pl

    intervals = known_fraud_intervals(labels).select(
        _ID="transaction_id",
        **{name: instants(f"known{name}") for name in (_FROM, _UNTIL)},
    )
    ids = rows.select(_ID=pl.col(table.row_id)).with_row_index(ROW)
    return ids.join(intervals, on="_ID", how="inner").drop("_ID")


@dataclass(frozen=True, slots=True)
class KnownFrauds:
    """Rows of the source that were known as frauds for some time, and that time as places on the line."""

    frame: "pl.DataFrame"

    @classmethod
    def placed(cls, frauds: "pl.DataFrame", group: "pl.DataFrame", line: Line) -> "KnownFrauds":
        """Return those of the known frauds that are in a group, on its line."""
        import polars as pl

        stretch = pl.col(PLACE) // line.stretch * line.stretch
        places = {name: stretch + pl.col(name) - line.start for name in (_FROM, _UNTIL)}
        end = stretch + line.last + 1
        return cls(group.join(frauds, on=ROW, how="inner").with_columns(end.alias(_END), **places))

    def total(self, feature: WindowFeature, seen: "pl.Expr", measure: Measure) -> "pl.Expr":
        """Return the measure of those that are in a row's window and known at its instant."""
        import polars as pl

        delay, window = feature.delay // MICROSECOND, feature.window // MICROSECOND
        # A window before now lets a row in just after its instant, and out just after it became too old.
        late = 0 if feature.bounds == "up_to_now" else 1
        counted = (
            self.frame.filter(seen)
            .select(
                begins=pl.max_horizontal(pl.col(PLACE) + delay + late, _FROM),
                ends=pl.min_horizontal(pl.col(PLACE) + delay + window + late, _UNTIL, _END),
                adds=measured(feature, measure),
            )
            .filter(pl.col("begins") < pl.col("ends"))
        )
        begun, ended = (_total_before(counted.select(edge, "adds").sort(edge), measure) for edge in ("begins", "ends"))
        return begun - ended


def _total_before(edges: "pl.DataFrame", measure: Measure) -> "pl.Expr":
    import polars as pl

    places, totals = edges.to_series(0), edges.select(running_sum(pl.col("adds"), measure)).to_series()
    return pl.lit(totals).gather(pl.lit(places).search_sorted(pl.col(PLACE), side="right"))
