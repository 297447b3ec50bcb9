"""Warm pools: instances of a training job that ended, kept for the next one that is alike.

A reuse costs no start. Nothing is really kept on this machine but the promise, which is told as SageMaker tells it.
"""

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
    kept = {"_WarmSince": service.clock.timestamp(), "_WarmMark": service.clock.mark()}
    _end_later(service, body | kept)
    return {"WarmPoolStatus": {"Status": "Available"}, **kept}


def take_pool(service: Service, body: Body) -> bool:
    """Let a job that is about to start take a fitting pool; return whether there was one."""
    if KEEP_ALIVE not in body["ResourceConfig"]:
        return False
    name = body["TrainingJobName"]
    service.store.update(KIND, name, WarmPoolStatus={"Status": "InUse"})
    for pool in _available(service):
        if _traits(pool) == _traits(body):
            kept = service.clock.timestamp() - pool["_WarmSince"]
            _close(service, pool, {"Status": "Reused", "ReusedByJob": name}, kept)
            return True
    return False


def let_go(body: Body) -> Body:
    """Return what a job's description gains when its instances are not kept after all."""
    return {"WarmPoolStatus": {"Status": "Terminated"}} if "WarmPoolStatus" in body else {}


def recover(service: Service) -> None:
    """Watch again over the pools that a service which was stopped has left."""
    for pool in _available(service):
        _end_later(service, pool)


def _available(service: Service) -> list[Body]:
    return service.store.list(KIND, **{"WarmPoolStatus.Status": "Available"})


def _end_later(service: Service, warm: Body) -> None:
    name, since, seconds = warm["TrainingJobName"], warm["_WarmSince"], warm["ResourceConfig"][KEEP_ALIVE]
    gone = service.clock.seconds_since(since, warm.get("_WarmMark"))

    async def end() -> None:
        await service.clock.sleep(seconds - gone)
        pool = service.store.get(KIND, name)
        # It may be gone, taken, or another job of the same name.
        if pool and pool.get("_WarmSince") == since:
            _close(service, pool, {"Status": "Terminated"}, service.clock.real_seconds(seconds))

    service.spawn(end(), f"warm pool of {name}")


def _close(service: Service, pool: Body, status: Body, kept_seconds: float) -> None:
    status = {**status, "ResourceRetainedBillableTimeInSeconds": max(0, round(kept_seconds))}
    service.store.update(KIND, pool["TrainingJobName"], WarmPoolStatus=status, _WarmSince=None, _WarmMark=None)


def _traits(body: Body) -> list[Any]:
    resources = [body["ResourceConfig"].get(member) for member in SAME_RESOURCES]
    return [*resources, *(body.get(member) or None for member in SAME_MEMBERS)]
