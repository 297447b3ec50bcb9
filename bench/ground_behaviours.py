"""What ``bench.ground`` asks of ground services, one fact of AWS a function; each fails by raising.

A function gets boto3 clients by service and a name of its own. Its docstring is the fact, its prefix the service.
"""
# The facts are written as assertions, as in a test.
# ruff: noqa: S101, PLR2004

import json
import time
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

Clients = Callable[[str], Any]
Behaviour = Callable[[Clients, str], None]
PART = b"x" * (5 << 20)


def refused(call: Callable[[], Any], *codes: str) -> None:
    """Require that AWS's own code comes back."""
    try:
        call()
    except ClientError as error:
        if error.response["Error"]["Code"] not in codes:
            raise
    else:
        raise AssertionError(f"was not refused with {codes[0]}")


def soon(look: Callable[[], Any], seconds: float = 5) -> Any:
    """Return the first true value within a few seconds."""
    deadline = time.monotonic() + seconds
    while not (value := look()):
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.05)
    return value


def s3_first_writer_wins(clients: Clients, name: str) -> None:
    """PutObject with If-None-Match: * is refused once the key exists."""
    s3 = clients("s3")
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="k", Body=b"1", IfNoneMatch="*")
    refused(lambda: s3.put_object(Bucket=name, Key="k", Body=b"2", IfNoneMatch="*"), "PreconditionFailed")


def s3_stale_writer_loses(clients: Clients, name: str) -> None:
    """PutObject with If-Match is refused unless the tag is the newest."""
    s3 = clients("s3")
    s3.create_bucket(Bucket=name)
    tag = s3.put_object(Bucket=name, Key="k", Body=b"1")["ETag"]
    s3.put_object(Bucket=name, Key="k", Body=b"2", IfMatch=tag)
    refused(lambda: s3.put_object(Bucket=name, Key="k", Body=b"3", IfMatch=tag), "PreconditionFailed")


def s3_multipart(clients: Clients, name: str) -> None:
    """Parts become one object whose tag ends in their number."""
    s3 = clients("s3")
    s3.create_bucket(Bucket=name)
    upload = s3.create_multipart_upload(Bucket=name, Key="k")["UploadId"]
    parts = [{"PartNumber": n, **_part(s3, name, upload, n, body)} for n, body in enumerate((PART, b"end"), start=1)]
    done = s3.complete_multipart_upload(Bucket=name, Key="k", UploadId=upload, MultipartUpload={"Parts": parts})
    assert done["ETag"].strip('"').endswith("-2"), done["ETag"]
    assert s3.head_object(Bucket=name, Key="k")["ContentLength"] == len(PART) + 3


def _part(s3: Any, name: str, upload: str, number: int, body: bytes) -> dict[str, str]:
    answer = s3.upload_part(Bucket=name, Key="k", UploadId=upload, PartNumber=number, Body=body)
    return {"ETag": answer["ETag"]}


def s3_pages_and_ranges(clients: Clients, name: str) -> None:
    """Lists page with delimiters, and a range returns its bytes."""
    s3 = clients("s3")
    s3.create_bucket(Bucket=name)
    for key in ("a/1", "a/2", "b", "c"):
        s3.put_object(Bucket=name, Key=key, Body=b"0123456789")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=name, Delimiter="/", PaginationConfig={"PageSize": 2})
    seen = [
        (one.get("Prefix") or one["Key"])
        for page in pages
        for kind in ("CommonPrefixes", "Contents")
        for one in page.get(kind, [])
    ]
    assert sorted(seen) == ["a/", "b", "c"], seen
    ranged = s3.get_object(Bucket=name, Key="b", Range="bytes=2-4")
    assert (ranged["ResponseMetadata"]["HTTPStatusCode"], ranged["Body"].read()) == (206, b"234")
    refused(lambda: s3.get_object(Bucket=name, Key="none"), "NoSuchKey")


def sts_identity_and_roles(clients: Clients, name: str) -> None:
    """The caller has an account, and a role can be assumed."""
    sts = clients("sts")
    account = sts.get_caller_identity()["Account"]
    made = sts.assume_role(RoleArn=f"arn:aws:iam::{account}:role/{name}", RoleSessionName="bench")
    assert made["Credentials"]["SessionToken"]


def iam_roles(clients: Clients, name: str) -> None:
    """A role's name is taken once; unknown ones are told."""
    iam = clients("iam")
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
    refused(lambda: iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust), "EntityAlreadyExists")
    refused(lambda: iam.get_role(RoleName=f"{name}-none"), "NoSuchEntity")


def iam_simulation(clients: Clients, name: str) -> None:
    """SimulatePrincipalPolicy answers from the role's policies (the SageMaker SDK asks it)."""
    iam = clients("iam")
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument='{"Version": "2012-10-17"}')["Role"]["Arn"]
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
    asked = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=["s3:GetObject", "s3:PutObject"])
    decisions = {one["EvalActionName"]: one["EvalDecision"] for one in asked["EvaluationResults"]}
    assert decisions == {"s3:GetObject": "allowed", "s3:PutObject": "implicitDeny"}, decisions


def sqs_visibility(clients: Clients, name: str) -> None:
    """A received message is hidden, and comes back when it is let go."""
    sqs = clients("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="1")
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "1"


def sqs_dead_letters(clients: Clients, name: str) -> None:
    """After maxReceiveCount a message moves to the dead-letter queue."""
    sqs = clients("sqs")
    dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    url = sqs.create_queue(QueueName=name, Attributes={"RedrivePolicy": policy, "VisibilityTimeout": "0"})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="poison")
    sqs.receive_message(QueueUrl=url)
    sqs.receive_message(QueueUrl=url)
    assert soon(lambda: sqs.receive_message(QueueUrl=dead).get("Messages"))[0]["Body"] == "poison"


def sqs_fifo(clients: Clients, name: str) -> None:
    """A FIFO queue drops what comes twice and keeps the order of a group."""
    sqs = clients("sqs")
    url = sqs.create_queue(QueueName=f"{name}.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    for body, key in (("1", "a"), ("1", "a"), ("2", "b")):
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId="g", MessageDeduplicationId=key)
    seen = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert [message["Body"] for message in seen] == ["1", "2"]


def _queue(clients: Clients, name: str) -> tuple[str, str]:
    sqs = clients("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def sns_to_sqs(clients: Clients, name: str) -> None:
    """A topic delivers to its queue, in an envelope."""
    sns, (url, arn) = clients("sns"), _queue(clients, name)
    topic = sns.create_topic(Name=name)["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    sns.publish(TopicArn=topic, Message="told")
    (message,) = soon(lambda: clients("sqs").receive_message(QueueUrl=url).get("Messages"))
    assert json.loads(message["Body"])["Message"] == "told"


def sns_filters(clients: Clients, name: str) -> None:
    """A filter policy keeps other messages away; raw delivery has no envelope."""
    sns, (url, arn) = clients("sns"), _queue(clients, name)
    topic = sns.create_topic(Name=name)["TopicArn"]
    attributes = {"FilterPolicy": json.dumps({"kind": ["yes"]}), "RawMessageDelivery": "true"}
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=attributes)
    for kind in ("no", "yes"):
        value = {"kind": {"DataType": "String", "StringValue": kind}}
        sns.publish(TopicArn=topic, Message=kind, MessageAttributes=value)
    (message,) = soon(lambda: clients("sqs").receive_message(QueueUrl=url).get("Messages"))
    assert message["Body"] == "yes"


def events_to_sqs(clients: Clients, name: str) -> None:
    """A rule delivers the events that match its pattern, and no others."""
    events, (url, arn) = clients("events"), _queue(clients, name)
    pattern = {"source": ["bench"], "detail": {"name": [{"prefix": "fraud"}], "rows": [{"numeric": [">", 3]}]}}
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": arn}])
    for detail in ({"name": "other", "rows": 9}, {"name": "fraud-1", "rows": 2}, {"name": "fraud-2", "rows": 4}):
        events.put_events(Entries=[{"Source": "bench", "DetailType": "t", "Detail": json.dumps(detail)}])
    (message,) = soon(lambda: clients("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"))
    assert json.loads(message["Body"])["detail"]["name"] == "fraud-2"


def events_own_sources_only(clients: Clients, _: str) -> None:
    """Nobody may send events as ``aws.*``."""
    entry = {"Source": "aws.sagemaker", "DetailType": "t", "Detail": "{}"}
    answer = clients("events").put_events(Entries=[entry])
    assert answer["FailedEntryCount"] == 1, answer


def _table(clients: Clients, name: str, **more: Any) -> Any:
    dynamodb = clients("dynamodb")
    attributes = [{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk", *more.pop("also", ()))]
    dynamodb.create_table(
        TableName=name,
        AttributeDefinitions=attributes,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        BillingMode="PAY_PER_REQUEST",
        **more,
    )
    dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
    return dynamodb


def _item(pk: str, sk: str, **more: str) -> dict[str, Any]:
    return {key: {"S": value} for key, value in {"pk": pk, "sk": sk, **more}.items()}


def dynamodb_conditions(clients: Clients, name: str) -> None:
    """A condition that does not hold refuses the write."""
    dynamodb = _table(clients, name)
    put = {"TableName": name, "Item": _item("a", "1"), "ConditionExpression": "attribute_not_exists(pk)"}
    dynamodb.put_item(**put)
    refused(lambda: dynamodb.put_item(**put), "ConditionalCheckFailedException")


def dynamodb_batches(clients: Clients, name: str) -> None:
    """25 items at once go in and come out; 26 are refused."""
    dynamodb = _table(clients, name)
    items = [{"PutRequest": {"Item": _item("a", f"{n:02}")}} for n in range(26)]
    dynamodb.batch_write_item(RequestItems={name: items[:25]})
    keys = [_item("a", f"{n:02}") for n in range(25)]
    assert len(dynamodb.batch_get_item(RequestItems={name: {"Keys": keys}})["Responses"][name]) == 25
    refused(lambda: dynamodb.batch_write_item(RequestItems={name: items}), "ValidationException")


def dynamodb_transactions(clients: Clients, name: str) -> None:
    """A transaction writes all or nothing."""
    dynamodb = _table(clients, name)
    dynamodb.put_item(TableName=name, Item=_item("a", "1"))
    good = {"Put": {"TableName": name, "Item": _item("a", "2")}}
    bad = {"Put": {"TableName": name, "Item": _item("a", "1"), "ConditionExpression": "attribute_not_exists(pk)"}}
    refused(lambda: dynamodb.transact_write_items(TransactItems=[good, bad]), "TransactionCanceledException")
    assert "Item" not in dynamodb.get_item(TableName=name, Key=_item("a", "2"))


def dynamodb_index_and_range(clients: Clients, name: str) -> None:
    """A query takes a range of sort keys in either order, and a global index."""
    key = [{"AttributeName": "merchant", "KeyType": "HASH"}]
    index = {"IndexName": "by-merchant", "KeySchema": key, "Projection": {"ProjectionType": "ALL"}}
    dynamodb = _table(clients, name, also=("merchant",), GlobalSecondaryIndexes=[index])
    for n in range(5):
        dynamodb.put_item(TableName=name, Item=_item("a", str(n), merchant=f"m{n % 2}"))
    found = dynamodb.query(
        TableName=name,
        KeyConditionExpression="pk = :pk AND sk BETWEEN :low AND :high",
        ExpressionAttributeValues={":pk": {"S": "a"}, ":low": {"S": "1"}, ":high": {"S": "3"}},
        ScanIndexForward=False,
    )["Items"]
    assert [item["sk"]["S"] for item in found] == ["3", "2", "1"]
    merchant = {"KeyConditionExpression": "merchant = :m", "ExpressionAttributeValues": {":m": {"S": "m1"}}}
    assert dynamodb.query(TableName=name, IndexName="by-merchant", **merchant)["Count"] == 2


def dynamodb_time_to_live(clients: Clients, name: str) -> None:
    """An item whose time has come is deleted; AWS takes up to days, here 70 s will do."""
    dynamodb = _table(clients, name)
    dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"})
    dynamodb.put_item(TableName=name, Item=_item("a", "1") | {"until": {"N": str(int(time.time()) - 10)}})
    soon(lambda: "Item" not in dynamodb.get_item(TableName=name, Key=_item("a", "1")), 70)


def _stream(clients: Clients, name: str, shards: int) -> Any:
    kinesis = clients("kinesis")
    kinesis.create_stream(StreamName=name, ShardCount=shards)
    kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})
    return kinesis


def kinesis_shards_and_iterators(clients: Clients, name: str) -> None:
    """Keys spread over shards; iterators begin at the horizon, and after a number."""
    kinesis = _stream(clients, name, 2)
    records = [{"Data": f"{n}".encode(), "PartitionKey": f"key-{n}"} for n in range(20)]
    kinesis.put_records(StreamName=name, Records=records)
    seen: dict[str, list[Any]] = {}
    for shard in kinesis.list_shards(StreamName=name)["Shards"]:
        where = {"StreamName": name, "ShardId": shard["ShardId"]}
        first = kinesis.get_shard_iterator(**where, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        seen[shard["ShardId"]] = kinesis.get_records(ShardIterator=first)["Records"]
        number = seen[shard["ShardId"]][0]["SequenceNumber"]
        after = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": number}
        later = kinesis.get_records(ShardIterator=kinesis.get_shard_iterator(**where, **after)["ShardIterator"])
        assert len(later["Records"]) == len(seen[shard["ShardId"]]) - 1
    assert sorted(int(record["Data"]) for part in seen.values() for record in part) == list(range(20))
    assert all(seen.values())


def kinesis_split(clients: Clients, name: str) -> None:
    """A split shard closes and has two children."""
    kinesis = _stream(clients, name, 1)
    (shard,) = kinesis.list_shards(StreamName=name)["Shards"]
    kinesis.split_shard(StreamName=name, ShardToSplit=shard["ShardId"], NewStartingHashKey=str(1 << 127))

    def children() -> bool:
        shards = kinesis.list_shards(StreamName=name)["Shards"]
        return sum(one.get("ParentShardId") == shard["ShardId"] for one in shards) == 2

    soon(children)
    (parent,) = (one for one in kinesis.list_shards(StreamName=name)["Shards"] if one["ShardId"] == shard["ShardId"])
    assert "EndingSequenceNumber" in parent["SequenceNumberRange"], parent


def kinesis_enhanced_fan_out(clients: Clients, name: str) -> None:
    """A registered consumer is pushed the records of a shard."""
    kinesis = _stream(clients, name, 1)
    arn = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]
    consumer = kinesis.register_stream_consumer(StreamARN=arn, ConsumerName="bench")["Consumer"]["ConsumerARN"]
    kinesis.put_record(StreamName=name, Data=b"pushed", PartitionKey="k")
    (shard,) = kinesis.list_shards(StreamName=name)["Shards"]
    start = {"Type": "TRIM_HORIZON"}
    pushed = kinesis.subscribe_to_shard(ConsumerARN=consumer, ShardId=shard["ShardId"], StartingPosition=start)
    # A subscription lasts five minutes; the first event that holds records will do.
    events = (event["SubscribeToShardEvent"]["Records"] for event in pushed["EventStream"])
    records = next(filter(None, events))
    pushed["EventStream"].close()
    assert [record["Data"] for record in records] == [b"pushed"]


BEHAVIOURS: dict[str, Behaviour] = {
    name: value
    for name, value in list(globals().items())
    if name.startswith(("s3_", "sts_", "iam_", "sqs_", "sns_", "events_", "dynamodb_", "kinesis_"))
}
