"""Files of a training job: what SageMaker puts into each container, and what it takes out at the end."""

import asyncio
import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from ml_platform.local_sagemaker import archives
from ml_platform.local_sagemaker.channels import default_mode, describe_channels
from ml_platform.local_sagemaker.instances import Instance
from ml_platform.local_sagemaker.service import Service, validation
from ml_platform.local_sagemaker.uploads import FolderUpload

OPT_ML = PurePosixPath("/opt/ml")
CHECKPOINTS = "/opt/ml/checkpoints"
TENSORBOARD = "/opt/ml/output/tensorboard"
GROUP = "homogeneousCluster"
MAX_FAILURE_CHARACTERS = 1024
Body = dict[str, Any]


def directory(service: Service, name: str) -> Path:
    """Return the folder of a job on this machine."""
    return service.home / "training-jobs" / name


def remove_files(service: Service, name: str) -> None:
    """Delete what a job left on this machine; its results are in S3."""
    shutil.rmtree(directory(service, name), ignore_errors=True)


def lay_out(instances: Sequence[Instance], body: Body) -> None:
    """Write the folders and configuration files that SageMaker puts into every training container."""
    hosts = sorted(instance.host.name for instance in instances)
    kind = body["ResourceConfig"].get("InstanceType")
    channels = describe_channels(body.get("InputDataConfig", []), default_mode(body))
    for instance in instances:
        shutil.rmtree(instance.base, ignore_errors=True)
        for folder in ("input/config", "input/data", "model", "output/data", "checkpoints", "code"):
            (instance.ml / folder).mkdir(parents=True)
        resources = {
            "current_host": instance.host.name,
            "current_instance_type": kind,
            "current_group_name": GROUP,
            "hosts": hosts,
            "instance_groups": [{"instance_group_name": GROUP, "instance_type": kind, "hosts": hosts}],
            "network_interface_name": "lo",
        }
        for file, content in (
            ("hyperparameters.json", body.get("HyperParameters", {})),
            ("inputdataconfig.json", channels),
            ("resourceconfig.json", resources),
        ):
            (instance.ml / "input/config" / file).write_text(json.dumps(content))


def live_folders(service: Service, body: Body, instances: Sequence[Instance]) -> list[FolderUpload]:
    """Return the folders that go to S3 while the job runs: checkpoints first, then TensorBoard's."""
    asked = [(body.get("CheckpointConfig"), "S3Uri", CHECKPOINTS)]
    asked.append((body.get("TensorBoardOutputConfig"), "S3OutputPath", TENSORBOARD))
    return [
        FolderUpload(service.objects, local(instance, config.get("LocalPath", usual)), config[address])
        for config, address, usual in asked
        if config
        for instance in instances
    ]


def check_live_path(member: str, path: str | None) -> None:
    """Refuse a folder that is not the job's own, or that SageMaker uses for something else.

    Raises:
        AwsError: When a file there would not be a checkpoint.
    """
    given = PurePosixPath(path or CHECKPOINTS)
    taken = [OPT_ML / name for name in ("input", "model", "code", "output/data", "output/failure")]
    inside = OPT_ML in given.parents and ".." not in given.parts and "\0" not in str(given)
    if not inside or given == OPT_ML / "output" or any(given.is_relative_to(folder) for folder in taken):
        raise validation(f"{member}.LocalPath must be a folder of its own below {OPT_ML}, not {path!r}.")


def local(instance: Instance, path: str) -> Path:
    """Return where a path below ``/opt/ml`` is on this machine."""
    return instance.ml / PurePosixPath(path).relative_to(OPT_ML)


async def upload_results(service: Service, body: Body, instances: Sequence[Instance]) -> str:
    """Upload the model, and the output when there is any; return the model's address."""
    config = body["OutputDataConfig"]
    prefix = f"{config['S3OutputPath'].rstrip('/')}/{body['TrainingJobName']}/output"
    model = await asyncio.to_thread(_merge, instances, "model")
    output = await asyncio.to_thread(_merge, instances, "output/data")
    plain = config.get("CompressionType") == "NONE"
    if any(path.is_file() for path in output.rglob("*")):
        await _upload(service, output, f"{prefix}/{'data/' if plain else 'output.tar.gz'}")
    address = f"{prefix}/{'model/' if plain else 'model.tar.gz'}"
    await _upload(service, model, address)
    return address


def failure_text(instance: Instance) -> str:
    """Return what the container said about its failure."""
    path = instance.ml / "output/failure"
    with suppress(OSError):
        return "" if path.is_symlink() else path.read_text(errors="replace")[:MAX_FAILURE_CHARACTERS].strip()
    return ""


async def _upload(service: Service, folder: Path, address: str) -> None:
    if address.endswith("/"):
        await FolderUpload(service.objects, folder, address).send()
        return
    archive = folder.parent / f"{folder.name}.upload.tar.gz"
    await asyncio.to_thread(archives.pack, folder, archive)
    await service.objects.aupload(archive, address)


def _merge(instances: Sequence[Instance], folder: str) -> Path:
    """Return one folder with the files of all instances; of files of one name, that of ``algo-1`` stays."""
    first, *others = (instance.ml / folder for instance in instances)
    for other in others:
        for path in sorted(other.rglob("*")):
            target = first / path.relative_to(other)
            if path.is_symlink() or not path.is_file() or target.exists():
                continue
            with suppress(FileExistsError, NotADirectoryError):  # there `algo-1` has a file of the folder's name
                target.parent.mkdir(parents=True, exist_ok=True)
                path.rename(target)
    return first
