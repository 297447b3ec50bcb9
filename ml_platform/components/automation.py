"""Named automation conditions, each with the reason for it. The label is what the UI shows as the cause of a run."""

from datetime import timedelta

import dagster as dg


def when_upstream_is_good() -> dg.AutomationCondition:
    """Run on new upstream results, but never on results that failed a blocking check.

    ``eager`` alone ignores blocking checks: a blocking check stops its own run, not the next one.
    """
    good = dg.AutomationCondition.all_deps_blocking_checks_passed().with_label("upstream passed its blocking checks")
    return (dg.AutomationCondition.eager().with_label("upstream changed") & good).with_label(
        "upstream changed and is good"
    )


def when_a_candidate_was_judged(evaluation_report: dg.AssetKey) -> dg.AutomationCondition:
    """Run on a new evaluation or package, of a candidate that was stopped too: failures are worth keeping."""
    unjudged = dg.AutomationCondition.any_deps_match(dg.AutomationCondition.missing()).allow(
        dg.AssetSelection.assets(evaluation_report)
    )
    news = dg.AutomationCondition.any_deps_updated() | dg.AutomationCondition.missing()
    still = ~dg.AutomationCondition.in_progress() & ~dg.AutomationCondition.any_deps_in_progress()
    return (news.since_last_handled() & ~unjudged & still).with_label("a candidate was judged or registered")


def every_hour() -> dg.AutomationCondition:
    """Run five minutes past the hour on the hour that has ended, and on the one that has begun.

    Captured requests are written within seconds; the hour that has begun is read again when it has ended.
    """
    tick: dg.AutomationCondition = dg.AutomationCondition.cron_tick_passed("5 * * * *")
    return (
        tick.since_last_handled()
        & dg.AutomationCondition.in_latest_time_window(timedelta(hours=2))
        & ~dg.AutomationCondition.in_progress()
    ).with_label("another hour of traffic has been captured")


def every_morning() -> dg.AutomationCondition:
    """Run once a day when the night's payments and features are there: for what people look at in the morning."""
    tick: dg.AutomationCondition = dg.AutomationCondition.cron_tick_passed("0 5 * * *")
    landed = ~dg.AutomationCondition.any_deps_missing()
    return (tick.since_last_handled() & landed & ~dg.AutomationCondition.in_progress()).with_label(
        "another night's payments are there"
    )
