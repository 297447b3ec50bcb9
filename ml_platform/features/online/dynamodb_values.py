"""Online rows in DynamoDB: one table per feature view, billed by request, items forgotten by DynamoDB's own clock.

Every write is conditional, so it is one request per row, several at a time: no batch write of DynamoDB can say
"unless newer".
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ml_platform.aws import clients
from ml_platform.features.online.codec import event_us_of
from ml_platform.features.online.values import Keys, OnlineStoreUnavailableError, Swap, Table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_KEYS_PER_REQUEST = 100
_PARALLEL = 8


class DynamoDBValues:
    """Rows in DynamoDB tables of one region."""

    def __init__(self, region: str) -> None:
        self._region = region

    @property
    def _client(self) -> "DynamoDBClient":
        return clients.dynamodb(self._region)

    def create(self, tables: Sequence[Table]) -> None:
        """Make sure the tables exist and forget expired items."""
        with self._errors():
            for table in tables:
                self._create(table)

    def drop(self, tables: Sequence[Table]) -> None:
        """Remove tables and their rows."""
        with self._errors():
            for table in tables:
                try:
                    self._client.delete_table(TableName=table)
                except self._client.exceptions.ResourceNotFoundException:
                    continue
                self._client.get_waiter("table_not_exists").wait(TableName=table)

    def read(self, wanted: Sequence[tuple[Table, Keys]]) -> list[list[bytes | None]]:
        """Return the rows of each table's keys, None where there is none: all tables in one request of 100 keys."""
        pairs = [(table, key) for table, keys in wanted for key in keys]
        found: dict[tuple[str, bytes], bytes] = {}
        with self._errors():
            for start in range(0, len(pairs), _KEYS_PER_REQUEST):
                found.update(self._get(pairs[start : start + _KEYS_PER_REQUEST]))
        return [[found.get((table, key)) for key in keys] for table, keys in wanted]

    def write_newest(self, table: Table, rows: Mapping[bytes, bytes], keep: timedelta | None) -> int:
        """Write rows unless the store's are newer."""

        def write(item: tuple[bytes, bytes]) -> bool:
            key, row = item
            return self._put(
                table, key, row, keep, "attribute_not_exists(#row) OR event_us <= :event", {":event": _number(row)}
            )

        return sum(self._at_once(write, rows.items()))

    def swap(self, table: Table, swaps: Sequence[Swap], keep: timedelta | None) -> list[bool]:
        """Replace each row that is still the one that was seen."""

        def write(swap: Swap) -> bool:
            if swap.seen is None:
                return self._put(table, swap.key, swap.row, keep, "attribute_not_exists(#row)", {})
            return self._put(table, swap.key, swap.row, keep, "#row = :seen", {":seen": {"B": swap.seen}})

        return self._at_once(write, swaps)

    def _create(self, table: Table) -> None:
        try:
            self._client.create_table(
                TableName=table,
                KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "B"}],
                BillingMode="PAY_PER_REQUEST",
                SSESpecification={"Enabled": True},
            )
        except self._client.exceptions.ResourceInUseException:
            return
        self._client.get_waiter("table_exists").wait(TableName=table)
        specification: Any = {"Enabled": True, "AttributeName": "forget_at"}
        self._client.update_time_to_live(TableName=table, TimeToLiveSpecification=specification)

    def _get(self, pairs: Sequence[tuple[Table, bytes]]) -> dict[tuple[str, bytes], bytes]:
        request: dict[str, Any] = {}
        for table, key in dict.fromkeys(pairs):
            # Strongly consistent: a read after the stream worker's write must see it.
            entry = request.setdefault(table, {"Keys": [], "ConsistentRead": True})
            entry["Keys"].append({"key": {"B": key}})
        found: dict[tuple[str, bytes], bytes] = {}
        while request:
            answer = self._client.batch_get_item(RequestItems=request)
            for table, items in answer["Responses"].items():
                found.update({(table, bytes(item["key"]["B"])): bytes(item["row"]["B"]) for item in items})
            request = dict(answer.get("UnprocessedKeys", {}))
        return found

    def _put(
        self, table: Table, key: bytes, row: bytes, keep: timedelta | None, condition: str, values: dict[str, Any]
    ) -> bool:
        item: dict[str, Any] = {"key": {"B": key}, "row": {"B": row}, "event_us": _number(row)}
        if keep is not None:
            item["forget_at"] = {"N": str(int(time.time() + keep.total_seconds()))}
        request: dict[str, Any] = {"TableName": table, "Item": item, "ConditionExpression": condition}
        if values:
            request["ExpressionAttributeValues"] = values
        if "#row" in condition:
            request["ExpressionAttributeNames"] = {"#row": "row"}
        try:
            self._client.put_item(**request)
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _at_once(self, write: Callable[[Any], bool], items: Any) -> list[bool]:
        with self._errors(), ThreadPoolExecutor(_PARALLEL) as pool:
            return list(pool.map(write, items))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise OnlineStoreUnavailableError(
                f"The online store in DynamoDB ({self._region}) cannot be used: {error}. Check credentials, region and "
                "tables, then try again."
            ) from error


def _number(row: bytes) -> dict[str, str]:
    return {"N": str(event_us_of(row))}
