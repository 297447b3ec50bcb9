"""Input channels of a training job: what it asks to read, brought from S3 to ``/opt/ml/input/data/<channel>``.

File mode; FastFile is the same files, which cannot be written. What else AWS offers is refused when the job is created.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml_platform.local_sagemaker import s3_inputs
from ml_platform.local_sagemaker.instances import Instance
from ml_platform.local_sagemaker.objects import Objects
from ml_platform.local_sagemaker.service import unsupported, validation

Channel = dict[str, Any]
FAST_FILE = "FastFile"
MODES = ("File", FAST_FILE)
DATA_TYPES = ("S3Prefix", "ManifestFile")
NOT_ACTED_ON = ("AttributeNames", "InstanceGroupNames", "ModelAccessConfig", "HubAccessConfig")


class ChannelError(Exception):
    """A channel's data cannot be brought; the message is the job's failure reason."""


def default_mode(request: dict[str, Any]) -> str:
    """Return the input mode of channels that name none."""
    return str(request["AlgorithmSpecification"].get("TrainingInputMode", "File"))


def check_channels(channels: Sequence[Channel], usual_mode: str) -> None:
    """Refuse, when a job is created, what cannot be done.

    Raises:
        AwsError: For names used twice and for what the stand-in does not implement.
    """
    names = [channel["ChannelName"] for channel in channels]
    if len(set(names)) < len(names):
        raise validation("Channel names must be unique within a training job.")
    if unusable := {".", ".."}.intersection(names):
        # The API's own pattern lets them pass; as names of folders they are other folders.
        raise validation(f"channelName {unusable.pop()!r} cannot be the name of a folder.")
    for channel in channels:
        source = channel.get("DataSource", {}).get("S3DataSource")
        if source is None:
            raise unsupported("channels that are not in S3")
        _check(channel, source, channel.get("InputMode", usual_mode))


def _check(channel: Channel, source: dict[str, Any], mode: str) -> None:
    if source["S3DataType"] not in DATA_TYPES:
        raise unsupported(f"channels of S3DataType {source['S3DataType']}")
    if mode not in MODES:
        raise unsupported(f"input mode {mode}")
    if mode == FAST_FILE and source["S3DataType"] != "S3Prefix":
        raise validation("FastFile mode requires S3DataType S3Prefix.")
    if channel.get("CompressionType", "None") != "None":
        raise validation(f"CompressionType must be None in {mode} mode.")
    if channel.get("RecordWrapperType", "None") != "None":
        raise unsupported(f"RecordWrapperType {channel['RecordWrapperType']}")
    if "ShuffleConfig" in channel:
        raise unsupported("ShuffleConfig of a channel")
    for member in NOT_ACTED_ON:
        if member in source:
            raise unsupported(f"{member} of a channel")


def describe_channels(channels: Sequence[Channel], usual_mode: str) -> dict[str, dict[str, str]]:
    """Return what ``inputdataconfig.json`` says."""
    return {channel["ChannelName"]: _description(channel, usual_mode) for channel in channels}


def _description(channel: Channel, usual_mode: str) -> dict[str, str]:
    source = channel["DataSource"]["S3DataSource"]
    content_type = {"ContentType": channel["ContentType"]} if "ContentType" in channel else {}
    return content_type | {
        "TrainingInputMode": channel.get("InputMode", usual_mode),
        "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
        "RecordWrapperType": channel.get("RecordWrapperType", "None"),
    }


def protected_folders(channels: Sequence[Channel], usual_mode: str) -> list[str]:
    """Return the folders below ``/opt/ml`` that a container may only read."""
    names = [one["ChannelName"] for one in channels if one.get("InputMode", usual_mode) == FAST_FILE]
    return [f"input/data/{name}" for name in names]


async def download_channels(
    objects: Objects, channels: Sequence[Channel], usual_mode: str, instances: Sequence[Instance]
) -> None:
    """Bring to every instance its part of every channel, in a folder of the channel's name.

    Raises:
        ChannelError: When a channel has no objects.
        ObjectsError: When S3 refuses, or a key would leave the folder.
    """
    for channel in channels:
        source = channel["DataSource"]["S3DataSource"]
        found = await s3_inputs.find_objects(objects, source["S3DataType"], source["S3Uri"])
        if not found:
            raise ChannelError(
                f"ClientError: Data download failed:No S3 objects found under S3 URL {source['S3Uri']!r} given in "
                f"input data source of channel {channel['ChannelName']}. Please ensure that the bucket exists, that "
                "objects exist under the prefix and that the role may read them."
            )
        distribution = source.get("S3DataDistributionType", "FullyReplicated")
        for index, instance in enumerate(instances):
            part = s3_inputs.shard(found, distribution, index, len(instances))
            await s3_inputs.download(objects, part, instance.ml / "input/data" / channel["ChannelName"])
    for instance in instances:
        for folder in protected_folders(channels, usual_mode):
            await asyncio.to_thread(_make_read_only, instance.ml / folder)


def _make_read_only(folder: Path) -> None:
    # Folders stay writable for us, who must remove them; a namespace protects them as well.
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(0o444)
