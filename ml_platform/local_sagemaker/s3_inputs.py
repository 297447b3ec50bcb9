"""Which S3 objects an input of a job means, and which of them each instance gets.

Prefixes and manifests, replicated or sharded by key. Training channels and processing inputs both use it.
"""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

from ml_platform.local_sagemaker.objects import Location, Objects, ObjectsError, path_below

PARALLEL_DOWNLOADS = 8
MANIFEST = "ManifestFile"
SHARDED = "ShardedByS3Key"
Found = tuple[str, str]
"""An object's address, and its name relative to the input's folder."""


async def find_objects(objects: Objects, data_type: str, uri: str) -> list[Found]:
    """Return the objects of an input, in order of their keys.

    Raises:
        ObjectsError: When S3 refuses or the manifest is not one.
    """
    if data_type == MANIFEST:
        return _read_manifest(uri, await objects.aread(uri))
    return await objects_below(objects, uri)


async def objects_below(objects: Objects, prefix: str) -> list[Found]:
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


def shard(found: Sequence[Found], distribution: str, index: int, count: int) -> list[Found]:
    """Return what instance ``index`` of ``count`` gets: everything, or every count-th object."""
    return list(found[index::count] if distribution == SHARDED else found)


async def download(objects: Objects, found: Sequence[Found], folder: Path) -> None:
    """Bring objects to a folder, which is made even for none.

    Raises:
        ObjectsError: When S3 refuses, or a key would leave the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    gate = asyncio.Semaphore(PARALLEL_DOWNLOADS)

    async def bring(uri: str, path: Path) -> None:
        async with gate:
            try:
                await objects.adownload(uri, path)
            except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
                raise ObjectsError(f"{uri}: another object's key needs the same name for a folder: {error}") from error

    targets = [(uri, path_below(folder, relative)) for uri, relative in found]
    await asyncio.gather(*(bring(uri, path) for uri, path in targets))


def _read_manifest(uri: str, body: bytes) -> list[Found]:
    """``[{"prefix": "s3://bucket/folder/"}, "one.csv", ...]``: names keep their relative path."""
    try:
        first, *names = json.loads(body)
        prefix = first["prefix"]
    except (ValueError, TypeError, KeyError) as error:
        raise ObjectsError(
            f'{uri}: not a manifest; it must be a JSON list [{{"prefix": "s3://..."}}, "key", ...]'
        ) from error
    if not isinstance(prefix, str) or not all(isinstance(name, str) and name for name in names):
        raise ObjectsError(f"{uri}: the prefix and the keys of a manifest must be texts")
    Location.parse(prefix)
    return [(f"{prefix}{name}", name) for name in names]
