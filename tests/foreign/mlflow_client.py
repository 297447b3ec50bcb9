"""Somebody's script on MLflow's SageMaker deployment client, a process of its own: MLflow takes seconds to import.

``python mlflow_client.py BUCKET IMAGE FOLDER`` walks a deployment through its life and prints JSON for the test.
Nothing waits inside MLflow, which looks once in five seconds.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import boto3
import pandas as pd
from mlflow.deployments import get_deploy_client

NAME = "by-mlflow"


def saved(folder: Path, answer: str) -> str:
    """Write a model as MLflow keeps it: a description and the files beside it."""
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: none\n    python_version: 3.11\n")
    (folder / "answer.txt").write_text(json.dumps({"predictions": [answer]}))
    return str(folder)


def settled(*, gone: bool = False) -> str:
    """Wait until nothing happens to the endpoint any more."""
    client: Any = boto3.client("sagemaker")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = [one["EndpointStatus"] for one in client.list_endpoints(NameContains=NAME)["Endpoints"]]
        if found == ([] if gone else ["InService"]):
            return found[0] if found else "gone"
        time.sleep(0.05)
    return f"still {found}"


def main(bucket: str, image: str, folder: Path) -> dict[str, Any]:
    """Create, ask, update, list and delete a deployment."""
    client = get_deploy_client("sagemaker:/us-east-1")
    config: dict[str, Any] = {
        "execution_role_arn": "arn:aws:iam::000000000000:role/mlflow",
        "bucket": bucket,
        "image_url": image,
        "instance_type": "ml.m5.large",
        "instance_count": 1,
        "synchronous": False,
        "archive": True,
        "variant_name": "by-mlflow",
    }
    told: dict[str, Any] = {}
    told["created"] = client.create_deployment(NAME, saved(folder / "first", "first"), "python_function", config)
    told["first"] = settled(), client.predict(NAME, pd.DataFrame({"x": [1]}))["predictions"]
    told["got"] = client.get_deployment(NAME)["EndpointStatus"]
    client.update_deployment(NAME, saved(folder / "second", "second"), "python_function", config | {"mode": "replace"})
    told["second"] = settled(), client.predict(NAME, pd.DataFrame({"x": [1]}))["predictions"]
    told["listed"] = [one["EndpointName"] for one in client.list_deployments() if one["EndpointName"] == NAME]
    client.delete_deployment(NAME, config={"synchronous": False, "archive": True})
    told["deleted"] = settled(gone=True)
    return told


if __name__ == "__main__":
    sys.stdout.write(f"\n{json.dumps(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))}\n")
