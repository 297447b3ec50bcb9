"""What ``bench.ground`` leaves in ground services before it ends them, and looks for after they came back."""

import json
from collections.abc import Callable

from bench.ground_behaviours import Clients

NAME = "kept"


def leave(clients: Clients) -> None:
    """Make one of each."""
    clients("s3").create_bucket(Bucket=NAME)
    clients("s3").put_object(Bucket=NAME, Key="k", Body=b"kept")
    clients("iam").create_role(RoleName=NAME, AssumeRolePolicyDocument='{"Version": "2012-10-17"}')
    url = clients("sqs").create_queue(QueueName=NAME)["QueueUrl"]
    clients("sqs").send_message(QueueUrl=url, MessageBody="kept")
    clients("sns").create_topic(Name=NAME)
    clients("events").put_rule(Name=NAME, EventPattern=json.dumps({"source": ["bench"]}))
    clients("dynamodb").create_table(
        TableName=NAME,
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    clients("dynamodb").put_item(TableName=NAME, Item={"pk": {"S": "kept"}})
    clients("kinesis").create_stream(StreamName=NAME, ShardCount=1)
    clients("kinesis").put_record(StreamName=NAME, Data=b"kept", PartitionKey="k")
    clients("logs").create_log_group(logGroupName=NAME)


def _message(clients: Clients) -> bool:
    url = clients("sqs").get_queue_url(QueueName=NAME)["QueueUrl"]
    count = clients("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    return count["Attributes"]["ApproximateNumberOfMessages"] == "1"


def _record(clients: Clients) -> bool:
    kinesis = clients("kinesis")
    (shard,) = kinesis.list_shards(StreamName=NAME)["Shards"]
    start = {"StreamName": NAME, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
    iterator = kinesis.get_shard_iterator(**start)["ShardIterator"]
    return bool(kinesis.get_records(ShardIterator=iterator)["Records"])


KEPT: dict[str, Callable[[Clients], bool]] = {
    "S3 object": lambda clients: clients("s3").get_object(Bucket=NAME, Key="k")["Body"].read() == b"kept",
    "IAM role": lambda clients: bool(clients("iam").get_role(RoleName=NAME)),
    "SQS message": _message,
    "SNS topic": lambda clients: bool(clients("sns").list_topics()["Topics"]),
    "EventBridge rule": lambda clients: bool(clients("events").list_rules(NamePrefix=NAME)["Rules"]),
    "DynamoDB item": lambda clients: "Item" in clients("dynamodb").get_item(TableName=NAME, Key={"pk": {"S": "kept"}}),
    "Kinesis record": _record,
    "log group": lambda clients: bool(clients("logs").describe_log_groups(logGroupNamePrefix=NAME)["logGroups"]),
}


def found(clients: Clients) -> dict[str, bool]:
    """Say of each whether it is still there."""
    return {what: _is_there(look, clients) for what, look in KEPT.items()}


def _is_there(look: Callable[[Clients], bool], clients: Clients) -> bool:
    try:
        return look(clients)
    except Exception:  # noqa: BLE001 - lost is lost, whatever the server calls it
        return False
