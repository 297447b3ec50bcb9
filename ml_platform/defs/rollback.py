"""What follows from an operating decision to roll back: by default a person is asked, by setting it is done."""

from collections.abc import Iterator

import dagster as dg

from ml_platform.core.settings import Settings
from ml_platform.defs.decisions import decided, run_after
from ml_platform.monitoring.decision import OperatingDecision
from ml_platform.resources.sagemaker import SageMaker


@dg.sensor(
    target=dg.AssetSelection.groups("deployment"),
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
)
def operating_decision_rolls_back(
    context: dg.SensorEvaluationContext, sagemaker: SageMaker
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Roll back once for each operating decision that says so, or name the command that a person may give.

    The decision rests on labels that matured over weeks: it can wait for a person. What cannot, an endpoint that fails
    or is slow, is rolled back by SageMaker's alarms during its rollout.
    """
    acts = Settings.load().roll_back_by_decision
    waiting = []
    for model, run_id in decided(context, "roll_back"):
        if acts:
            yield _roll_back(model, run_id, sagemaker)
        waiting.append(f"ml-platform rollback {model}")
    if not waiting:
        yield dg.SkipReason("No model's newest operating decision is to roll back.")
    elif not acts:
        yield dg.SkipReason(f"Asks for a person, as ML_PLATFORM_ROLL_BACK_BY_DECISION is off: {', '.join(waiting)}")


def _roll_back(model: str, run_id: str, sagemaker: SageMaker) -> dg.RunRequest:
    decision = sagemaker.manifests(model).read("operating_decision", OperatingDecision)
    change = {
        # The version that was judged: should another one be live by the time of the run, nothing is rolled back.
        "roll_back_version": version_of(decision.package_arn),
        "reason": "; ".join(decision.reasons),
        "by": "operating decision",
    }
    config = {"ops": {f"{model}__live_endpoint": {"config": change}}}
    return run_after(model, run_id, "roll back", ("live_endpoint",), config)


def version_of(package_arn: str | None) -> int:
    """Return the version at the end of a package's ARN; 0, which no package has, for a decision that names none."""
    last = (package_arn or "").rpartition("/")[2]
    return int(last) if last.isdecimal() else 0
