"""Which label holds when several sources speak about one payment, with Spark; the twin of ``labels.conflicts``."""

from typing import TYPE_CHECKING

from ml_platform.features.labels.conflicts import SOURCE, LabelPolicy

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def settle(labels: "DataFrame", policy: LabelPolicy) -> "DataFrame":
    """Return what was held of each payment from when on; the arguments are those of ``labels.conflicts.settle``."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F  # noqa: N812

    if SOURCE not in labels.columns or policy.rule == "newest":
        return labels.drop(SOURCE)
    # A range holds all rows of its instant: each of these has weighed everything that was said in it.
    until_now = (
        Window.partitionBy("transaction_id")
        .orderBy(F.unix_micros("known_time"))
        .rangeBetween(Window.unboundedPreceding, Window.currentRow)
    )
    ranked = [F.col(SOURCE) == source for source in policy.priority]
    unranked = F.coalesce(~F.col(SOURCE).isin(*policy.priority), F.lit(True))  # noqa: FBT003
    # The newest word of a source; of two in the same instant the fraud holds, as everywhere.
    newest = [F.max(F.when(said, F.struct("known_time", "label"))).over(until_now) for said in (*ranked, unranked)]
    held = F.coalesce(*(word["label"] for word in newest))
    return labels.withColumn("label", held).drop(SOURCE).dropDuplicates(["transaction_id", "known_time"])
