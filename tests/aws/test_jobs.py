"""Jobs from creation to their end, as any account shows them."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.aws.life import TOTAL, Life, members

pytestmark = pytest.mark.timeout(7200)
LOCAL = "/opt/ml/processing"


def test_a_training_job_leaves_model_metrics_and_logs(life: Life) -> None:
    name = life.name("train")
    arn = life.train(name, "sum")
    assert arn == f"arn:aws:sagemaker:{life.target.region}:{life.target.account}:training-job/{name}"
    with pytest.raises(life.sagemaker.exceptions.ResourceInUse):
        life.train(name, "sum")
    job = life.trained(name)
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Completed", job.get("FailureReason")
    phases = [*dict.fromkeys(change["Status"] for change in job["SecondaryStatusTransitions"])]
    # AWS may name further phases, such as Pending, between these.
    assert [
        phase for phase in phases if phase in ("Starting", "Downloading", "Training", "Uploading", "Completed")
    ] == [
        "Starting",
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == life.uri(f"models/{name}/output/model.tar.gz")
    assert members(life.get(job["ModelArtifacts"]["S3ModelArtifacts"]))["answer.txt"] == TOTAL
    assert {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]} == {"loss": 0.25}
    assert 0 < job["BillableTimeInSeconds"] <= 900
    life.eventually(
        lambda: log_lines(life, "TrainingJobs", f"{name}/algo-1-"), lambda lines: "step 1 loss=0.25;" in lines
    )


def log_lines(life: Life, kind: str, prefix: str) -> list[str]:
    """Return what the containers of a job have printed, as far as it has arrived."""
    logs, group = life.target.client("logs"), f"/aws/sagemaker/{kind}"
    try:
        streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=prefix)["logStreams"]
    except logs.exceptions.ResourceNotFoundException:
        return []
    pages = [
        logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)["events"]
        for stream in streams
    ]
    return [event["message"] for page in pages for event in page]


def test_a_failing_training_job_says_why(life: Life) -> None:
    name = life.name("fail")
    life.train(name, "fail")
    with pytest.raises(Exception, match="Waiter TrainingJobCompletedOrStopped failed"):
        life.trained(name)
    job = life.sagemaker.describe_training_job(TrainingJobName=name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Failed", "Failed")
    assert job["FailureReason"].startswith("AlgorithmError: ")
    assert "no such column: amount" in job["FailureReason"]
    assert "exit code: 3" in job["FailureReason"]


def test_a_stopped_training_job_keeps_what_it_saved_and_says_every_status_to_its_rule(life: Life) -> None:
    name = life.name("stop")
    box = Mailbox(life, name)
    life.train(name, "wait")
    life.eventually(lambda: log_lines(life, "TrainingJobs", f"{name}/algo-1-"), lambda lines: "waiting" in lines)
    life.sagemaker.stop_training_job(TrainingJobName=name)
    job = life.trained(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert members(life.get(job["ModelArtifacts"]["S3ModelArtifacts"])) == {"answer.txt": "stopped"}
    with pytest.raises(ClientError, match="status Stopped"):
        life.sagemaker.stop_training_job(TrainingJobName=name)
    events = life.eventually(box.collect, lambda seen: seen and seen[-1]["detail"]["TrainingJobStatus"] == "Stopped")
    assert {(event["source"], event["detail-type"], event["account"]) for event in events} == {
        ("aws.sagemaker", "SageMaker Training Job State Change", life.target.account)
    }
    assert {event["resources"][0].rsplit("/")[-1] for event in events} == {name}
    assert {"InProgress", "Stopped"} <= {event["detail"]["TrainingJobStatus"] for event in events}


class Mailbox:
    """A queue with the events of one training job, in the order of their times."""

    def __init__(self, life: Life, job: str) -> None:
        self.sqs = life.target.client("sqs")
        self.events: list[dict[str, Any]] = []
        arn = f"arn:aws:sqs:{life.target.region}:{life.target.account}:{job}"
        allow = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        self.url = self.sqs.create_queue(QueueName=job, Attributes={"Policy": policy})["QueueUrl"]
        rules = life.target.client("events")
        pattern = {"source": ["aws.sagemaker"], "detail": {"TrainingJobName": [job]}}
        rules.put_rule(Name=job, EventPattern=json.dumps(pattern))
        rules.put_targets(Rule=job, Targets=[{"Id": "1", "Arn": arn}])

    def collect(self) -> list[dict[str, Any]]:
        """Return all events that have come so far."""
        answer = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10)
        for message in answer.get("Messages", []):
            self.events.append(json.loads(message["Body"]))
            self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        # Queues promise no order; `Stopped` is the last word whatever came before it.
        return sorted(self.events, key=lambda event: event["detail"]["TrainingJobStatus"] == "Stopped")


def test_a_processing_job_brings_its_inputs_and_takes_its_outputs(life: Life) -> None:
    name = life.name("process")
    source = {
        "S3Uri": life.uri("data/"),
        "LocalPath": f"{LOCAL}/input",
        "S3DataType": "S3Prefix",
        "S3InputMode": "File",
    }
    sink = {"S3Uri": life.uri("processed"), "LocalPath": f"{LOCAL}/output", "S3UploadMode": "EndOfJob"}
    life.sagemaker.create_processing_job(
        ProcessingJobName=name,
        RoleArn=life.target.role,
        AppSpecification={"ImageUri": life.target.image},
        ProcessingInputs=[{"InputName": "data", "S3Input": source}],
        ProcessingOutputConfig={"Outputs": [{"OutputName": "total", "S3Output": sink}]},
        ProcessingResources={"ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5}},
        StoppingCondition={"MaxRuntimeInSeconds": 900},
    )
    life.wait("processing_job_completed_or_stopped", ProcessingJobName=name)
    job = life.sagemaker.describe_processing_job(ProcessingJobName=name)
    assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
    assert life.get(life.uri("processed/total.txt")) == TOTAL.encode()


def test_a_transform_job_answers_each_object_beside_its_name(life: Life) -> None:
    name, model = life.name("transform"), life.a_model("0.5\n")
    life.put("rows/deep/a.csv", b"1\n2\n")
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": life.uri("rows/")}}
    life.sagemaker.create_transform_job(
        TransformJobName=name,
        ModelName=model,
        BatchStrategy="SingleRecord",
        TransformInput={"DataSource": source, "ContentType": "text/csv", "SplitType": "Line"},
        TransformOutput={"S3OutputPath": life.uri("scored"), "AssembleWith": "Line", "Accept": "text/csv"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
    )
    life.wait("transform_job_completed_or_stopped", TransformJobName=name)
    job = life.sagemaker.describe_transform_job(TransformJobName=name)
    assert job["TransformJobStatus"] == "Completed", job.get("FailureReason")
    # The server's answers end in a new line already; which of two line ends is kept is not asked here.
    assert life.get(life.uri("scored/deep/a.csv.out")).split() == [b"0.5", b"0.5"]
