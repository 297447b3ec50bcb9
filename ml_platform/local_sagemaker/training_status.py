"""Statuses of a training job as SageMaker tells them: the secondary ones with their times, the end, and the bill."""

import math
from typing import Any

from ml_platform.local_sagemaker.service import Service

KIND = "training-job"
MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading the training image and input data",
    "Training": "Training image download completed. Training in progress.",
    "Interrupted": "Spot capacity was reclaimed; the training job resumes when there is capacity again",
    "Restarting": "Restarting the training job after an internal error",
    "Stopping": "Stopping the training job",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "MaxWaitTimeExceeded": "Training job wait time exceeded MaxWaitTimeInSeconds provided",
}
TERMINAL = ("Completed", "Failed", "Stopped", "MaxRuntimeExceeded", "MaxWaitTimeExceeded")
# Spot prices change by the hour; 70 % off is what AWS's own examples show.
SPOT_SHARE_OF_PRICE = 0.3


def enter(service: Service, name: str, secondary: str, message: str | None = None) -> None:
    """Note the next secondary status."""
    now = service.clock.timestamp()

    def edit(body: dict[str, Any]) -> None:
        transitions = body["SecondaryStatusTransitions"]
        if transitions[-1]["Status"] == secondary:
            return
        transitions[-1].setdefault("EndTime", now)
        following = {"Status": secondary, "StartTime": now, "StatusMessage": message or MESSAGES[secondary]}
        transitions.append(following | ({"EndTime": now} if secondary in TERMINAL else {}))
        body.update(SecondaryStatus=secondary, LastModifiedTime=now)

    service.store.change(KIND, name, edit)


def begin_attempt(service: Service, name: str) -> None:
    """Note that instances are there: from now on the job is billed."""
    now = service.clock.timestamp()

    def edit(body: dict[str, Any]) -> None:
        body.setdefault("TrainingStartTime", now)
        body["_AttemptStart"] = now

    service.store.change(KIND, name, edit)


def end_attempt(service: Service, name: str, at: float | None = None) -> None:
    """Note that the instances are gone since a time, or now."""
    ended = service.clock.timestamp() if at is None else at
    service.store.change(KIND, name, lambda body: _close_attempt(body, ended))


def finish(service: Service, name: str, secondary: str, reason: str | None = None, **members: Any) -> None:
    """Note the end of a job. Exceeding a time limit is a way of being ``Stopped``."""
    now = service.clock.timestamp()
    enter(service, name, secondary, reason)

    def edit(body: dict[str, Any]) -> None:
        _close_attempt(body, now)
        seconds, billable = _seconds(body)
        body.update(
            TrainingJobStatus="Stopped" if secondary.endswith("Exceeded") else secondary,
            FailureReason=reason,
            TrainingEndTime=now,
            TrainingTimeInSeconds=seconds,
            BillableTimeInSeconds=billable,
            _Processes=None,
            **members,
        )

    service.store.change(KIND, name, edit)


def _close_attempt(body: dict[str, Any], now: float) -> None:
    began = body.pop("_AttemptStart", None)
    if began is not None:
        body["_Trained"] = body.get("_Trained", 0.0) + max(0.0, now - began)


def _seconds(body: dict[str, Any]) -> tuple[int | None, int | None]:
    """Return training and billable seconds; a job that never got an instance has neither."""
    if "_Trained" not in body:
        return None, None
    if not body.get("EnableManagedSpotTraining"):
        seconds = max(1, round(body["_Trained"]))
        return seconds, seconds
    seconds = max(1, math.ceil(body["_Trained"]))
    return seconds, max(1, math.floor(seconds * SPOT_SHARE_OF_PRICE))
