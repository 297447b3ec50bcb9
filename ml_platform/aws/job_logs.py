"""A job's progress for a person: its phases and log lines, each once. Reading CloudWatch is ``log_streams``."""

from collections.abc import Callable, Mapping

from ml_platform.aws import log_streams
from ml_platform.core.errors import ConfigurationError, ServiceUnavailableError


class JobLogs:
    """Remembers how far a job's streams were read.

    Logs are a courtesy: a job that is being paid for is not given up because its logs cannot be read. The first
    failure is passed on as a line, later ones are not repeated.
    """

    def __init__(self, region: str, group: str, job: str, on_log: Callable[[str], None]) -> None:
        self._region, self._group, self._on_log = region, group, on_log
        # With the slash, so that the lines of attempt `<job>-r1` are not taken for ours.
        self._prefix = f"{job}/"
        self._token: Mapping[str, str] = {}
        self._job, self._phase = job, ""
        self._complained = False

    def drain(self, phase: str) -> None:
        """Pass on the phase, when it is a new one, and the lines that appeared since the last call.

        On AWS minutes pass before the container says its first word: the phase tells what we are waiting for.
        """
        if phase != self._phase:
            self._on_log(f"{self._job}: {phase}")
            self._phase = phase
        try:
            tail = log_streams.tail(self._region, self._group, self._prefix, self._token)
        except (ServiceUnavailableError, ConfigurationError) as error:
            if not self._complained:
                self._on_log(f"(log lines are not available: {error})")
            self._complained = True
            return
        self._token = tail.token
        for line in tail.lines:
            self._on_log(line)
