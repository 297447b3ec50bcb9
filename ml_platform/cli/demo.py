"""``ml-platform demo``: the whole loop as a story, on real services, in under ten minutes.

Ninety days of history, a champion, a bad candidate that the gate stops, a live week with a shift in it, the decision,
retraining by the sensor, and a challenger that goes live without a failed request. Every step is a run of the same
assets, sensors and services that ``ml-platform dev`` shows; the story only pushes the clock.
"""

from contextlib import ExitStack

from ml_platform.cli.console import out, progress
from ml_platform.cli.demo_home import start_afresh, use_simulator
from ml_platform.cli.demo_report import Narrator, closing_table, write_summary
from ml_platform.cli.services import LocalServices
from ml_platform.core.settings import Settings


def run_demo(settings: Settings) -> None:
    """Tell the story from an empty platform to the second deployment, and write ``demo/summary.json``.

    Raises:
        MLPlatformError: When a step did not hold; what happened until then stays to be looked at.
    """
    start_afresh(settings)
    settings = use_simulator(settings)
    with ExitStack() as running:
        narrator = running.enter_context(Narrator())
        with narrator.stage("services", "Start S3 and the SageMaker stand-in"):
            running.enter_context(LocalServices(settings, report=progress))
        from ml_platform.cli.demo_story import Story

        story = Story(settings, narrator)
        story.tell()
    summary = write_summary(settings, narrator, story.facts)
    out.print(closing_table(settings, narrator, story.facts))
    out.print(f"The same as JSON: {summary}")
