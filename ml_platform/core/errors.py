"""The platform's errors: a small tree, each saying what happened, why, and what to do next.

The command line prints ``str(error)`` of any ``MLPlatformError`` as one paragraph and exits with 1; anything
else is a defect and keeps its traceback.
"""


class MLPlatformError(Exception):
    """Base of every error that a person can act on."""


class ConfigurationError(MLPlatformError):
    """A setting is missing, malformed or contradicts another."""


class SourceDataError(MLPlatformError):
    """The source of transactions cannot be used at all: missing file, missing column, nothing in it."""


class FeatureError(MLPlatformError):
    """Features are missing, not materialized, or break a promise such as row conservation."""


class ArtifactError(MLPlatformError):
    """A model artifact is incomplete, was altered, or does not match its signature."""


class ServiceUnavailableError(MLPlatformError):
    """A service the platform needs (S3, SageMaker, a local port) does not answer."""


class JobError(MLPlatformError):
    """A SageMaker job did not complete."""


class JobFailedError(JobError):
    """The job ended as ``Failed``; the message carries SageMaker's failure reason. A retry repeats the failure."""


class JobStoppedError(JobError):
    """Somebody, or a limit, stopped the job. ``Stopped`` is not success."""


class CapacityError(JobError):
    """SageMaker had no instance of the requested type. A later retry can succeed."""


class SpotInterruptedError(JobError):
    """AWS took the spot instances away, or gave none in time. A later retry can succeed."""


class JobLostError(JobError):
    """SageMaker itself lost the job. A retry starts a new attempt."""


class EndpointError(MLPlatformError):
    """An endpoint is absent, failed, or does not serve what was asked for."""


class RolloutRolledBackError(EndpointError):
    """The endpoint is in service again, but on the configuration it had before the update."""
