"""Input channels: what a job asks to read, brought from S3 to ``/opt/ml/input/data/<channel>``.

File mode, S3Prefix, every instance gets all objects. What else AWS offers is refused when the job is created.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml_platform.local_sagemaker.objects import Location, Objects, path_below
from ml_platform.local_sagemaker.service import unsupported, validation

Channel = dict[str, Any]
PARALLEL_DOWNLOADS = 8


class ChannelError(Exception):
    """A channel's data cannot be brought; the message is the job's failure reason."""


def check_channels(channels: Sequence[Channel], default_mode: str) -> None:
    """Refuse, when a job is created, what cannot be done.

    Raises:
        AwsError: For names used twice and for what the stand-in does not implement.
    """
    names = [channel["ChannelName"] for channel in channels]
    if len(set(names)) < len(names):
        raise validation("Channel names must be unique within a training job.")
    for channel in channels:
        source = channel.get("DataSource", {}).get("S3DataSource")
        mode = channel.get("InputMode", default_mode)
        if source is None:
            raise unsupported("channels that are not in S3")
        if source["S3DataType"] != "S3Prefix":
            raise unsupported(f"channels of S3DataType {source['S3DataType']}")
        if mode != "File":
            raise unsupported(f"input mode {mode}")
        if channel.get("CompressionType", "None") != "None":
            raise validation("CompressionType must be None in File mode.")


def describe_channels(channels: Sequence[Channel]) -> dict[str, dict[str, str]]:
    """Return what ``inputdataconfig.json`` says."""
    return {channel["ChannelName"]: _description(channel) for channel in channels}


def _description(channel: Channel) -> dict[str, str]:
    source = channel["DataSource"]["S3DataSource"]
    content_type = {"ContentType": channel["ContentType"]} if "ContentType" in channel else {}
    return content_type | {
        "TrainingInputMode": channel.get("InputMode", "File"),
        "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
        "RecordWrapperType": channel.get("RecordWrapperType", "None"),
    }


async def download_channels(objects: Objects, channels: Sequence[Channel], folder: Path) -> None:
    """Bring every channel to a folder of its name.

    Raises:
        ChannelError: When a channel has no objects.
        ObjectsError: When S3 refuses, or a key would leave the folder.
    """
    gate = asyncio.Semaphore(PARALLEL_DOWNLOADS)

    async def download(uri: str, path: Path) -> None:
        async with gate:
            await objects.adownload(uri, path)

    for channel in channels:
        prefix = channel["DataSource"]["S3DataSource"]["S3Uri"]
        found = await objects_below(objects, prefix)
        if not found:
            raise ChannelError(
                f"ClientError: Data download failed:No S3 objects found under S3 URL {prefix!r} given in input data "
                f"source of channel {channel['ChannelName']}. Please ensure that the bucket exists, that objects exist "
                "under the prefix and that the role may read them."
            )
        target = folder / channel["ChannelName"]
        downloads = [(uri, path_below(target, relative)) for uri, relative in found]
        await asyncio.gather(*(download(uri, path) for uri, path in downloads))


async def objects_below(objects: Objects, prefix: str) -> list[tuple[str, str]]:
    """Return the address of every object under a prefix, with its name relative to the prefix's folder."""
    location = Location.parse(prefix)
    keys = await objects.akeys(prefix)
    return [(f"s3://{location.bucket}/{key}", relative_name(location.key, key)) for key in keys]


def relative_name(prefix: str, key: str) -> str:
    """Return the name a job sees: ``a/b`` gives ``c.csv`` for ``a/b/c.csv`` and ``b.csv`` for ``a/b.csv``."""
    folder = prefix if prefix.endswith("/") or not prefix else f"{prefix}/"
    if key.startswith(folder):
        return key[len(folder) :]
    return key[prefix.rfind("/") + 1 :]
