"""A user's script on the SageMaker SDK v3, run as a process of its own: its imports take longer than its work.

``python sagemaker_sdk.py BUCKET MODEL_URL FOLDER`` trains with ``ModelTrainer``, walks ``sagemaker.core``'s resources
through their lives and prints JSON for the test to judge.
"""

import json
import sys
from typing import Any

REGISTRY = "000000000000.dkr.ecr.us-east-1.amazonaws.com"
ROLE = "arn:aws:iam::000000000000:role/sdk"


def core(bucket: str, model_url: str) -> dict[str, Any]:
    """Create, read, wait for, use and delete resources."""
    from sagemaker.core.resources import Endpoint, EndpointConfig, Model, TrainingJob
    from sagemaker.core.shapes import (
        AlgorithmSpecification,
        ContainerDefinition,
        OutputDataConfig,
        ProductionVariant,
        ResourceConfig,
        StoppingCondition,
    )

    def job(name: str, mode: str) -> Any:
        return TrainingJob.create(
            training_job_name=name,
            role_arn=ROLE,
            algorithm_specification=AlgorithmSpecification(
                training_image=f"{REGISTRY}/test-script:latest", training_input_mode="File"
            ),
            hyper_parameters={"mode": mode},
            output_data_config=OutputDataConfig(s3_output_path=f"s3://{bucket}/sdk"),
            resource_config=ResourceConfig(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=5),
            stopping_condition=StoppingCondition(max_runtime_in_seconds=600),
        )

    told: dict[str, Any] = {}
    done = job(f"{bucket}-done", "report")
    done.wait(poll=1, logs=False)
    told["job"] = done.training_job_status
    told["artifact"] = TrainingJob.get(done.training_job_name).model_artifacts.s3_model_artifacts
    stopped = job(f"{bucket}-stopped", "sleep")
    stopped.stop()
    while stopped.refresh().training_job_status in ("InProgress", "Stopping"):
        pass
    told["stopped"] = stopped.training_job_status
    model = Model.create(
        model_name=bucket,
        execution_role_arn=ROLE,
        primary_container=ContainerDefinition(image=f"{REGISTRY}/test-hosted:latest", model_data_url=model_url),
    )
    config = EndpointConfig.create(
        endpoint_config_name=bucket,
        production_variants=[
            ProductionVariant(
                variant_name="v", model_name=bucket, initial_instance_count=1, instance_type="ml.m5.large"
            )
        ],
    )
    endpoint = Endpoint.create(endpoint_name=bucket, endpoint_config_name=bucket)
    endpoint.wait_for_status("InService", poll=1)
    told["endpoint"] = endpoint.refresh().endpoint_status
    told["answer"] = endpoint.invoke(body=b"1,2", content_type="text/csv").body.read().decode()
    told["listed"] = [found.endpoint_name for found in Endpoint.get_all(name_contains=bucket)]
    endpoint.delete()
    endpoint.wait_for_delete(poll=1)
    config.delete()
    model.delete()
    told["left"] = [found.model_name for found in Model.get_all(name_contains=bucket)]
    return told


def trainer(bucket: str, folder: str) -> str:
    """Train with the SDK's own packaging of a script."""
    import boto3
    from sagemaker.core.helper.session_helper import Session
    from sagemaker.train import ModelTrainer
    from sagemaker.train.configs import Compute, SourceCode

    made = ModelTrainer(
        training_image=f"{REGISTRY}/test-sdk:latest",
        role=ROLE,
        sagemaker_session=Session(boto_session=boto3.Session(), default_bucket=bucket),
        source_code=SourceCode(source_dir=folder, entry_script="train.py"),
        compute=Compute(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=5),
        base_job_name=bucket,
        hyperparameters={"depth": 3},
    )
    made.train(wait=False, logs=False)
    return str(made._latest_training_job.training_job_name)


if __name__ == "__main__":
    bucket, model_url, folder = sys.argv[1:]
    trained = trainer(bucket, folder)
    sys.stdout.write(f"\n{json.dumps({'trainer': trained, **core(bucket, model_url)})}\n")
