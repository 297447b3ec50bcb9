"""Materialize assets in a process of its own, which a test may kill or give another checkout: ``run_assets.py JSON``.

The JSON lists runs, each with assets and perhaps days or a partition, and names models of ``tests.builders`` to run
beside those of the code location. Prints what was materialized and the graph, as JSON.
"""

import json
import sys
from datetime import date
from typing import Any

import dagster as dg
from dagster import DagsterInstance

from ml_platform.cli.code_location import load_definitions
from ml_platform.cli.runs import Runs


def definitions_with(models: list[str]) -> dg.Definitions:
    """Return the code location, with models of the tests' own."""
    if not models:
        return load_definitions()
    from ml_platform.components.model_pipeline import build_model
    from tests.builders import a_model

    return dg.Definitions.merge(load_definitions(), *[build_model(a_model(name)) for name in models])


def main(order: dict[str, Any]) -> None:
    """Carry out the order."""
    definitions = definitions_with(order.get("models", []))
    runs = Runs(definitions, DagsterInstance.ephemeral())
    finished = [
        runs.materialize(
            run["assets"],
            days=tuple(date.fromisoformat(day) for day in run["days"]) if "days" in run else None,
            partition=run.get("partition"),
        )
        for run in order["runs"]
    ]
    graph = definitions.resolve_asset_graph()
    keys = graph.get_all_asset_keys()
    report = {
        "materialized": [sorted(run.materialized) for run in finished],
        "graph": {
            key.to_user_string(): sorted(parent.to_user_string() for parent in graph.get(key).parent_keys)
            for key in keys
        },
        "external": sorted(key.to_user_string() for key in keys - graph.materializable_asset_keys),
    }
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
