"""What the hosting tests do to a SageMaker account, through unmodified boto3."""

import io
import json
import sys
import tarfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.config import Config

IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/test-hosted:latest"
ROLE = "arn:aws:iam::000000000000:role/hosting"
SETTLED = ("InService", "Failed")
Value = TypeVar("Value")


def register_image(images_file: Path) -> None:
    """Tell the stand-in how to serve our image."""
    script = Path(__file__).parent / "images" / "hosted.py"
    images = json.loads(images_file.read_text()) | {IMAGE: {"serve": [sys.executable, "-S", str(script)]}}
    new = images_file.with_suffix(".new")
    new.write_text(json.dumps(images))
    new.replace(images_file)


def eventually(look: Callable[[], Value], seconds: float = 20) -> Value:
    """Return the first true value that ``look`` gives."""
    deadline = time.monotonic() + seconds
    while not (value := look()):
        assert time.monotonic() < deadline, f"still {value!r} after {seconds} s"
        time.sleep(0.02)
    return value


@dataclass
class Traffic:
    """What a steady client got so far."""

    answers: list[str] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    def reach(self, more: int) -> None:
        """Wait until so many more requests are answered or failed."""
        target = len(self.answers) + len(self.failures) + more
        eventually(lambda: len(self.answers) + len(self.failures) >= target)


class Account:
    """A SageMaker account at one address, with a bucket of its own."""

    def __init__(self, address: str, bucket: str) -> None:
        # Retries would hide a failed request.
        once = Config(retries={"total_max_attempts": 1}, max_pool_connections=20)
        self.sagemaker: Any = boto3.client("sagemaker", endpoint_url=address, config=once)
        self.runtime: Any = boto3.client("sagemaker-runtime", endpoint_url=address, config=once)
        self.s3: Any = boto3.client("s3")
        self.bucket = bucket

    def a_config(self, answer: str, **options: Any) -> str:
        """Make a model that answers so, and a config that serves it; return the name of both."""
        model = self.a_model(answer, **options.pop("environment", {}))
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=model, ProductionVariants=[self.a_variant(model)], **options
        )
        return model

    def a_model(self, answer: str, **environment: str) -> str:
        """Make a model whose server answers so."""
        name = f"m-{uuid.uuid4().hex[:12]}"
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            member = tarfile.TarInfo("answer.txt")
            member.size = len(answer)
            tar.addfile(member, io.BytesIO(answer.encode()))
        self.s3.put_object(Bucket=self.bucket, Key=f"models/{name}.tar.gz", Body=archive.getvalue())
        container = {
            "Image": IMAGE,
            "ModelDataUrl": f"s3://{self.bucket}/models/{name}.tar.gz",
            "Environment": environment,
        }
        self.sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
        return name

    def a_variant(self, model: str, **changes: Any) -> dict[str, Any]:
        """Describe a production variant of one instance."""
        variant = {
            "VariantName": "primary",
            "ModelName": model,
            "InitialInstanceCount": 1,
            "InstanceType": "ml.m5.large",
        }
        return variant | changes

    def an_endpoint(self, config: str) -> str:
        """Make an endpoint that serves a config."""
        name = f"e-{uuid.uuid4().hex[:12]}"
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        assert self.settled(name)["EndpointStatus"] == "InService"
        return name

    def describe(self, endpoint: str) -> dict[str, Any]:
        """Return what DescribeEndpoint says."""
        answer: dict[str, Any] = self.sagemaker.describe_endpoint(EndpointName=endpoint)
        return answer

    def settled(self, endpoint: str, *states: str) -> dict[str, Any]:
        """Return the endpoint's description once nothing happens to it any more, or it is in one of the states."""
        eventually(lambda: self.describe(endpoint)["EndpointStatus"] in (states or SETTLED), seconds=60)
        return self.describe(endpoint)

    def invoke(self, endpoint: str, body: bytes = b"1,2", **options: Any) -> str:
        """Return an endpoint's answer."""
        answer = self.runtime.invoke_endpoint(EndpointName=endpoint, Body=body, ContentType="text/csv", **options)
        return str(answer["Body"].read().decode())

    @contextmanager
    def steady_traffic(self, endpoint: str, clients: int = 4) -> Iterator[Traffic]:
        """Invoke an endpoint without pause from several threads."""
        traffic, ended = Traffic(), threading.Event()

        def keep_invoking() -> None:
            while not ended.is_set():
                try:
                    traffic.answers.append(self.invoke(endpoint))
                except Exception as error:  # noqa: BLE001 - counted, and judged by the test
                    traffic.failures.append(error)

        threads = [threading.Thread(target=keep_invoking) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            traffic.reach(20)
            yield traffic
            traffic.reach(20)
        finally:
            ended.set()
            for thread in threads:
                thread.join()
