"""How a SageMaker job and Dagster find each other: the context that goes in, the messages that come out.

Two ways. Through the job's own log (the default): the container prints Pipes messages as lines of standard output and
finds its context in its environment; it needs no credentials, no SDK and no network, and whoever reads the log of an
adopted job reads the same messages. Or through S3, with dagster-aws's ``PipesS3ContextInjector`` and
``PipesS3MessageReader``, for contexts that do not fit the environment of a job. Reading logs is ``aws.job_logs``.
"""

import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import dagster as dg
from dagster_pipes import (
    DAGSTER_PIPES_CONTEXT_ENV_VAR,
    DAGSTER_PIPES_MESSAGES_ENV_VAR,
    PIPES_PROTOCOL_VERSION,
    PIPES_PROTOCOL_VERSION_FIELD,
    PipesContextData,
    PipesDefaultContextLoader,
    PipesDefaultMessageWriter,
    PipesMessage,
    PipesParams,
    decode_param,
)

from ml_platform.aws.job_kinds import JobKind
from ml_platform.core.errors import ConfigurationError

CONTEXT_VARIABLE = DAGSTER_PIPES_CONTEXT_ENV_VAR
MESSAGES_VARIABLE = DAGSTER_PIPES_MESSAGES_ENV_VAR


class PipesSageMakerContextInjector(dg.PipesContextInjector):
    """Puts the context into the job's environment, without what can grow: code versions and data provenance.

    ``open_dagster_pipes()`` without arguments reads it. A training job's values hold 512 characters, which the rest
    of the context fits; a processing job's 256 do not, and need ``PipesS3ContextInjector``.
    """

    @contextmanager
    def inject_context(self, context_data: PipesContextData) -> Iterator[PipesParams]:
        """Yield the context itself."""
        lean = {**context_data, "code_version_by_asset_key": None, "provenance_by_asset_key": None}
        yield {PipesDefaultContextLoader.DIRECT_KEY: lean}

    def no_messages_debug_text(self) -> str:
        """Say where the context was put."""
        return f"Attempted to inject context through the environment variable {CONTEXT_VARIABLE} of a SageMaker job."


class PipesSageMakerLogMessageReader(dg.PipesMessageReader):
    """Takes messages from the job's log, which the client reads anyway: asks the container to write to stdout."""

    @contextmanager
    def read_messages(self, handler: Any) -> Iterator[PipesParams]:  # noqa: ARG002  # the client hands messages over
        """Yield where the container should write."""
        yield {PipesDefaultMessageWriter.STDIO_KEY: PipesDefaultMessageWriter.STDOUT}

    def no_messages_debug_text(self) -> str:
        """Say where messages were expected."""
        return "Attempted to read messages from the CloudWatch log of a SageMaker job."


def pipes_message(line: str) -> Any | None:
    """Return the Pipes message that a log line is, or None when it is an ordinary line."""
    if PIPES_PROTOCOL_VERSION_FIELD not in line:
        return None
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) and PIPES_PROTOCOL_VERSION_FIELD in message else None


def message(method: Literal["opened", "closed"]) -> PipesMessage:
    """Return what a container says when it begins to report, or has ended to."""
    return {PIPES_PROTOCOL_VERSION_FIELD: PIPES_PROTOCOL_VERSION, "method": method, "params": {}}  # type: ignore[misc]


def where_messages_are(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return where a job was told to write its messages when it was started; nothing when it was not told."""
    try:
        params = decode_param(environment[MESSAGES_VARIABLE])
    except (KeyError, ValueError, zlib.error):
        return {}
    return params if isinstance(params, dict) else {}


def in_the_log(params: Mapping[str, Any]) -> bool:
    """Whether messages written there come by the job's log."""
    return PipesDefaultMessageWriter.STDIO_KEY in params


def check_environment(kind: JobKind, environment: Mapping[str, str]) -> None:
    """Refuse an environment that AWS would refuse, with the remedy.

    Raises:
        ConfigurationError: When a value is too long, or there are too many.
    """
    if len(environment) > kind.max_environment_entries:
        raise ConfigurationError(
            f"A {kind.name} job takes at most {kind.max_environment_entries} environment variables, "
            f"this one has {len(environment)}, those of Dagster Pipes included."
        )
    for name, value in environment.items():
        if len(value) > kind.max_environment_value:
            remedy = (
                "Hand the context over through S3 (PipesS3ContextInjector with a short bucket and key_prefix)."
                if name in {CONTEXT_VARIABLE, MESSAGES_VARIABLE}
                else "Shorten it, or put it into S3."
            )
            raise ConfigurationError(
                f"Environment variable {name} of a {kind.name} job has {len(value)} characters; "
                f"SageMaker allows {kind.max_environment_value}. {remedy}"
            )
