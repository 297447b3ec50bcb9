"""MLflow's deployment client for SageMaker, which creates, updates and deletes endpoints by itself."""

import json
import subprocess
import sys
from pathlib import Path

from tests.contract.hosting_account import IMAGE, Account

SCRIPT = Path(__file__).with_name("mlflow_client.py")


def test_mlflow_deploys_updates_and_deletes(account: Account, environment: dict[str, str], tmp_path: Path) -> None:
    """The bucket is given: ministack refuses the ACL of the one that MLflow would make."""
    command = [sys.executable, "-W", "ignore", str(SCRIPT), account.bucket, IMAGE, str(tmp_path)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=150, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert json.loads(ended.stdout.splitlines()[-1]) == {
        "created": {"name": "by-mlflow", "flavor": "python_function"},
        "first": ["InService", ["first"]],
        "got": "InService",
        "second": ["InService", ["second"]],
        "listed": ["by-mlflow"],
        "deleted": "gone",
    }
