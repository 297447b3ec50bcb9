"""What the life-cycle suite does to an account: named requests, waits with a deadline, steady traffic.

Only public AWS operations; nothing here knows whether the account is real.
"""

import io
import tarfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.config import Config

from tests.aws.sweep import OWN_PREFIX
from tests.aws.target import Target

INSTANCE_TYPE = "ml.m5.large"
DATA = "1\n2\n3.5\n"
TOTAL = "6.5"


@dataclass
class Traffic:
    """What a steady client got so far."""

    answers: list[str] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)


class Life:
    """One run of the suite in an account. Every name it gives begins with its prefix."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.prefix = f"{OWN_PREFIX}{uuid.uuid4().hex[:8]}"
        self.sagemaker = target.client("sagemaker")
        # Retries would hide a failed request.
        once = Config(retries={"total_max_attempts": 1})
        self.runtime = target.client("sagemaker-runtime", config=once)
        self.s3 = target.client("s3")
        self.put("data/numbers.csv", DATA.encode())

    def name(self, what: str) -> str:
        """Return a name that nothing else has."""
        return f"{self.prefix}-{what}-{uuid.uuid4().hex[:6]}"

    def uri(self, path: str) -> str:
        """Return the address of this run's own part of the bucket."""
        return f"s3://{self.target.bucket}/{self.prefix}/{path}"

    def put(self, path: str, body: bytes) -> str:
        """Store an object; return its address."""
        self.s3.put_object(Bucket=self.target.bucket, Key=f"{self.prefix}/{path}", Body=body)
        return self.uri(path)

    def get(self, uri: str) -> bytes:
        """Return an object."""
        key = uri.removeprefix(f"s3://{self.target.bucket}/")
        return bytes(self.s3.get_object(Bucket=self.target.bucket, Key=key)["Body"].read())

    def eventually(self, look: Callable[[], Any], until: Callable[[Any], Any] = bool) -> Any:
        """Look again and again until the value satisfies; fail with the last one when it never does."""
        deadline = time.monotonic() + self.target.patience_seconds
        while not until(value := look()):
            assert time.monotonic() < deadline, f"not within {self.target.patience_seconds} s; last seen: {value}"
            time.sleep(self.target.poll_seconds)
        return value

    def wait(self, waiter: str, **arguments: Any) -> None:
        """Let one of boto3's own waiters wait."""
        delay = max(1, int(self.target.poll_seconds))
        attempts = int(self.target.patience_seconds / delay)
        self.sagemaker.get_waiter(waiter).wait(WaiterConfig={"Delay": delay, "MaxAttempts": attempts}, **arguments)

    def train(self, name: str, mode: str, **changes: Any) -> str:
        """Start a training job on the data; return its ARN."""
        source = {"S3DataType": "S3Prefix", "S3Uri": self.uri("data/")}
        request = {
            "TrainingJobName": name,
            "RoleArn": self.target.role,
            "AlgorithmSpecification": {
                "TrainingImage": self.target.image,
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*?);"}],
            },
            "HyperParameters": {"mode": mode},
            "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
            "OutputDataConfig": {"S3OutputPath": self.uri("models")},
            "ResourceConfig": {"InstanceType": INSTANCE_TYPE, "InstanceCount": 1, "VolumeSizeInGB": 5},
            "StoppingCondition": {"MaxRuntimeInSeconds": 900},
        }
        return str(self.sagemaker.create_training_job(**request | changes)["TrainingJobArn"])

    def trained(self, name: str) -> dict[str, Any]:
        """Return the description of a training job that has ended."""
        self.wait("training_job_completed_or_stopped", TrainingJobName=name)
        return dict(self.sagemaker.describe_training_job(TrainingJobName=name))

    def a_model(self, answer: str, **environment: str) -> str:
        """Make a model whose server answers so."""
        name = self.name("model")
        url = self.put(f"{name}/model.tar.gz", archive("answer.txt", answer))
        container = {"Image": self.target.image, "ModelDataUrl": url, "Environment": environment}
        self.sagemaker.create_model(ModelName=name, ExecutionRoleArn=self.target.role, PrimaryContainer=container)
        return name

    def a_config(self, answer: str, instances: int = 1, environment: dict[str, str] | None = None) -> str:
        """Make a model that answers so, and a captured config of it; return the name of both."""
        model = self.a_model(answer, **(environment or {}))
        variant = {"VariantName": "primary", "ModelName": model, "InitialInstanceCount": instances}
        capture = {
            "EnableCapture": True,
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": self.uri("capture"),
            "CaptureOptions": [{"CaptureMode": mode} for mode in ("Input", "Output")],
            "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
        }
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=model,
            ProductionVariants=[variant | {"InstanceType": INSTANCE_TYPE}],
            DataCaptureConfig=capture,
        )
        return model

    def settled(self, endpoint: str) -> dict[str, Any]:
        """Return an endpoint's description once nothing happens to it any more."""
        return dict(
            self.eventually(
                lambda: self.sagemaker.describe_endpoint(EndpointName=endpoint),
                lambda seen: seen["EndpointStatus"] in ("InService", "Failed", "UpdateRollbackFailed"),
            )
        )

    def ask(self, endpoint: str, **options: Any) -> str:
        """Return an endpoint's answer."""
        answer = self.runtime.invoke_endpoint(EndpointName=endpoint, Body=b"1", ContentType="text/csv", **options)
        return str(answer["Body"].read().decode())

    @contextmanager
    def steady_traffic(self, endpoint: str) -> Iterator[Traffic]:
        """Ask an endpoint all the time."""
        traffic, ended = Traffic(), threading.Event()

        def keep_asking() -> None:
            while not ended.wait(self.target.pause_seconds):
                try:
                    traffic.answers.append(self.ask(endpoint))
                except Exception as error:  # noqa: BLE001 - counted, and judged by the test
                    traffic.failures.append(error)

        thread = threading.Thread(target=keep_asking)
        thread.start()
        try:
            yield traffic
        finally:
            ended.set()
            thread.join()


def archive(name: str, text: str) -> bytes:
    """Return a ``.tar.gz`` of one text file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(text.encode())
        tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def members(body: bytes) -> dict[str, str]:
    """Return the files of a ``.tar.gz``."""
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        return {one.name.removeprefix("./"): tar.extractfile(one).read().decode() for one in tar if one.isfile()}  # type: ignore[union-attr]
