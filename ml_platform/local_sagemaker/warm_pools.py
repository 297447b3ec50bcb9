"""Warm pools: instances of a training job that ended, kept for the next one that is alike.

A reuse costs no start. Nothing is really kept on this machine but the promise, which is told as SageMaker tells it.
"""

import asyncio
from typing import Any

from ml_platform.local_sagemaker.service import Service
from ml_platform.local_sagemaker.training_status import KIND

KEEP_ALIVE = "KeepAlivePeriodInSeconds"
SAME_RESOURCES = ("InstanceCount", "InstanceType", "VolumeKmsKeyId", "VolumeSizeInGB")
SAME_MEMBERS = ("RoleArn", "VpcConfig", "EnableInterContainerTrafficEncryption", "EnableNetworkIsolation")
Body = dict[str, Any]


def keep_warm(service: Service, body: Body) -> Body:
    """Return what a completed job's description gains when its instances are kept, and end that in time."""
    seconds = body["ResourceConfig"].get(KEEP_ALIVE)
    if not seconds:
        return {}
    now = service.clock.timestamp()
    # AWS imposes this wait: it is scaled.
    until = now + service.clock.real_seconds(seconds)
    _end_later(service, body["TrainingJobName"], until)
    return {"WarmPoolStatus": {"Status": "Available"}, "_WarmSince": now, "_WarmUntil": until}


def take_pool(service: Service, body: Body) -> bool:
    """Let a job that is about to start take a fitting pool; return whether there was one."""
    if KEEP_ALIVE not in body["ResourceConfig"]:
        return False
    name = body["TrainingJobName"]
    service.store.update(KIND, name, WarmPoolStatus={"Status": "InUse"})
    for pool in _available(service):
        if _traits(pool) == _traits(body):
            _close(service, pool, {"Status": "Reused", "ReusedByJob": name}, service.clock.timestamp())
            return True
    return False


def let_go(body: Body) -> Body:
    """Return what a job's description gains when its instances are not kept after all."""
    return {"WarmPoolStatus": {"Status": "Terminated"}} if "WarmPoolStatus" in body else {}


def recover(service: Service) -> None:
    """Watch again over the pools that a service which was stopped has left."""
    for pool in _available(service):
        _end_later(service, pool["TrainingJobName"], pool["_WarmUntil"])


def _available(service: Service) -> list[Body]:
    return service.store.list(KIND, **{"WarmPoolStatus.Status": "Available"})


def _end_later(service: Service, name: str, until: float) -> None:
    async def end() -> None:
        await asyncio.sleep(max(0.0, until - service.clock.timestamp()))
        pool = service.store.get(KIND, name)
        # It may be gone, taken, or another job of the same name.
        if pool and pool.get("_WarmUntil") == until:
            _close(service, pool, {"Status": "Terminated"}, until)

    service.spawn(end(), f"warm pool of {name}")


def _close(service: Service, pool: Body, status: Body, now: float) -> None:
    retained = max(0, round(now - pool["_WarmSince"]))
    status = {**status, "ResourceRetainedBillableTimeInSeconds": retained}
    service.store.update(KIND, pool["TrainingJobName"], WarmPoolStatus=status, _WarmSince=None, _WarmUntil=None)


def _traits(body: Body) -> list[Any]:
    resources = [body["ResourceConfig"].get(member) for member in SAME_RESOURCES]
    return [*resources, *(body.get(member) or None for member in SAME_MEMBERS)]
