"""One tick of a sensor, as the daemon would evaluate it."""

import dagster as dg
from dagster import DagsterInstance
from dagster._core.definitions.sensor_definition import SensorExecutionData


def tick(
    definitions: dg.Definitions, instance: DagsterInstance, sensor: str, cursor: str | None = None
) -> SensorExecutionData:
    """Evaluate a sensor as the daemon would."""
    with dg.build_sensor_context(
        instance=instance,
        cursor=cursor,
        definitions=definitions,
        resources=dict(definitions.resources or {}),
        repository_name=definitions.get_repository_def().name,
    ) as context:
        return definitions.resolve_sensor_def(sensor).evaluate_tick(context)
