"""A training image for tuning: its loss is a bowl over ``x``, printed step by step as ``steps`` and ``pause`` say."""

import json
import os
import sys
import time
from pathlib import Path

BASE = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))


def main() -> int:
    """Print the loss at every step, the last one most exactly."""
    parameters = json.loads((BASE / "input" / "config" / "hyperparameters.json").read_text())
    if parameters.get("fail") == "yes":
        return 1
    if parameters.get("silent") == "yes":
        return 0
    loss = (float(parameters.get("x", 0)) - 0.3) ** 2 + {"a": 0.0, "b": 1.0}.get(parameters.get("kind", "a"), 2.0)
    for _ in range(int(parameters.get("steps", 1))):
        sys.stdout.write(f"objective={loss!r};\n")
        sys.stdout.flush()
        time.sleep(float(parameters.get("pause", 0)) if parameters.get("kind") == "slow" else 0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
