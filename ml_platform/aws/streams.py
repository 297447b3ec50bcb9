"""Kinesis streams: their shards, and the records of a shard after a sequence number. Nothing is written."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from ml_platform.aws import clients
from ml_platform.core.errors import ServiceUnavailableError, SourceDataError

_LATER = {
    "ProvisionedThroughputExceededException",
    "LimitExceededException",
    "ExpiredIteratorException",
    "InternalFailure",
    "ServiceUnavailable",
    "ThrottlingException",
}


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of a stream. A closed one has all its records; its children go on."""

    shard_id: str
    parents: tuple[str, ...]
    closed: bool


@dataclass(frozen=True, slots=True)
class Record:
    """One record; sequence numbers rise within a shard, and from it to its children."""

    sequence_number: str
    arrived_at: datetime
    content: bytes


def list_shards(region: str, stream: str) -> list[Shard]:
    """Return all shards whose records are still kept, the closed ones too.

    Raises:
        SourceDataError: When there is no such stream or it may not be read.
        ServiceUnavailableError: When Kinesis does not answer.
    """
    try:
        pages = clients.kinesis(region).get_paginator("list_shards").paginate(StreamName=stream)
        return [
            Shard(
                shard["ShardId"],
                tuple(shard[key] for key in ("ParentShardId", "AdjacentParentShardId") if shard.get(key)),
                "EndingSequenceNumber" in shard["SequenceNumberRange"],
            )
            for page in pages
            for shard in page["Shards"]
        ]
    except (ClientError, BotoCoreError) as error:
        _explain(error, stream)


def read_shard(
    region: str, stream: str, shard: str, after: str | None, limit: int
) -> Iterator[tuple[list[Record], bool]]:
    """Yield a shard's records after a sequence number, call by call, and whether nothing is left for now.

    The last pair says that nothing is left, with or without records; raises like ``list_shards``.
    """
    client = clients.kinesis(region)
    try:
        if after is None:
            asked = client.get_shard_iterator(StreamName=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
        else:
            asked = client.get_shard_iterator(
                StreamName=stream,
                ShardId=shard,
                ShardIteratorType="AFTER_SEQUENCE_NUMBER",
                StartingSequenceNumber=after,
            )
        iterator: str | None = asked["ShardIterator"]
        while iterator:
            answer = client.get_records(ShardIterator=iterator, Limit=limit)
            records = [
                Record(item["SequenceNumber"], item["ApproximateArrivalTimestamp"], item["Data"])
                for item in answer["Records"]
            ]
            iterator = answer.get("NextShardIterator")
            # An answer may be empty though records follow: how far it is behind tells.
            drained = not iterator or (not records and not answer.get("MillisBehindLatest"))
            yield records, drained
            if drained:
                return
    except (ClientError, BotoCoreError) as error:
        _explain(error, stream)


def _explain(error: Exception, stream: str) -> NoReturn:
    if isinstance(error, BotoCoreError) or error.response["Error"]["Code"] in _LATER:  # type: ignore[attr-defined]
        raise ServiceUnavailableError(
            f"Kinesis does not answer for {stream} ({error}). Check the network and the stream's limits; reading goes "
            "on where it stopped."
        ) from error
    raise SourceDataError(
        f"The Kinesis stream {stream} cannot be read: {error}. Check the name in ML_PLATFORM_SOURCE, the region, and "
        "that these credentials may call kinesis:ListShards, GetShardIterator and GetRecords."
    ) from error
