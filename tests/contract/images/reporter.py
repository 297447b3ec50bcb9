"""An image that speaks Dagster Pipes by ``dagster-pipes``, as any container may: by its log, or through S3.

Hyper-parameters: ``release`` names a file to wait for before the work is done, ``fail`` the reason to fail with,
``s3`` asks for S3 for the `context` or for `both` directions,
``twice`` for saying everything twice, as after a spot interruption, ``silent`` for saying nothing to Dagster.
"""

import json
import os
import sys
import time
from pathlib import Path

from dagster_pipes import PipesContext, PipesS3ContextLoader, PipesS3MessageWriter, open_dagster_pipes

BASE = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
PARAMETERS = BASE / "input" / "config" / "hyperparameters.json"


def main() -> int:
    """Work, and report on it."""
    parameters = json.loads(PARAMETERS.read_text()) if PARAMETERS.exists() else dict(os.environ)
    ways = {}
    if "s3" in parameters:
        import boto3

        s3 = boto3.client("s3")
        ways["context_loader"] = PipesS3ContextLoader(s3)
        if parameters["s3"] == "both":
            ways["message_writer"] = PipesS3MessageWriter(s3, interval=0)
    sys.stdout.write("loss=0.5;\n")
    sys.stdout.flush()
    if "silent" in parameters:
        return 0
    with open_dagster_pipes(**ways) as pipes:
        while "release" in parameters and not Path(parameters["release"]).exists():
            time.sleep(0.05)
        if "fail" in parameters:
            for file in ("failure", "message"):
                (BASE / "output").mkdir(exist_ok=True)
                (BASE / "output" / file).write_text(parameters["fail"])
            return 1
        for _ in range(2 if "twice" in parameters else 1):
            say(pipes)
    return 0


def say(pipes: PipesContext) -> None:
    """Report metadata and a check."""
    pipes.log.info("half way")
    pipes.report_asset_materialization(metadata={"rows": 42})
    pipes.report_asset_check("rows_arrived", passed=True, metadata={"rows": 42})
    # PipesContext allows one materialization for each asset; a container started again begins with a new one.
    pipes._materialized_assets.clear()


if __name__ == "__main__":
    sys.exit(main())
