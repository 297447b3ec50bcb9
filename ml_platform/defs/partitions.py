"""All partition definitions, and how an asset asks for the days of its run. Days are UTC."""

from datetime import date

import dagster as dg

from ml_platform.core.settings import Settings

daily = dg.DailyPartitionsDefinition(start_date=Settings.load().history_start.isoformat())


def days_of(context: dg.AssetExecutionContext) -> tuple[date, date]:
    """First and last day of this run: one day, or the whole range of a backfill in one run."""
    keys = context.partition_key_range
    return date.fromisoformat(keys.start), date.fromisoformat(keys.end)
