"""Where MLflow keeps its runs: a database in the home, a server, or SageMaker's own.

The database is a file. MLflow's plain files would be too, but MLflow 3.17 refuses them unless one insists (ADR 0015).
"""

import re
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from ml_platform.core.errors import ConfigurationError
from ml_platform.core.settings import Settings

SAGEMAKER_ARN = re.compile(
    r"arn:aws[a-z-]*:sagemaker:[a-z0-9-]{9,16}:\d{12}:mlflow-(tracking-server|app)/[A-Za-z0-9-]{1,256}"
)
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")


def tracking_uri(settings: Settings) -> str:
    """Return MLflow's address as these settings choose it.

    Raises:
        ConfigurationError: When it is none that MLflow could use.
    """
    uri = settings.mlflow_uri
    if uri is None:
        home(settings).mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{home(settings) / 'mlflow.db'}"
    scheme = urlsplit(uri).scheme.partition("+")[0]
    if SAGEMAKER_ARN.fullmatch(uri) or scheme in (*_DATABASES, "http", "https"):
        return uri
    raise ConfigurationError(
        f"ML_PLATFORM_MLFLOW_URI is {without_secrets(uri)!r}: neither http(s)://…, a database such as postgresql://…, "
        "nor the ARN of an MLflow of SageMaker (arn:aws:sagemaker:…:mlflow-tracking-server/… or …:mlflow-app/…). "
        "Plain files are not kept up by MLflow any more."
    )


def artifact_root(settings: Settings) -> str | None:
    """Return where artifacts go when nobody but us knows: beside the database. A server has a place of its own."""
    return (home(settings) / "artifacts").as_uri() if settings.mlflow_uri is None else None


def home(settings: Settings) -> Path:
    """Return the folder of the local database."""
    return settings.home / "mlflow"


def run_url(uri: str, experiment: str, run: str) -> str:
    """Return where a person finds a run; of a database, the command that shows it."""
    if uri.startswith(("http://", "https://")):
        return f"{without_secrets(uri).rstrip('/')}/#/experiments/{experiment}/runs/{run}"
    if uri.startswith("arn:"):
        # SageMaker opens its MLflow by a link that holds for minutes, which is asked for each time.
        return f"{uri} (experiment {experiment}, run {run})"
    return f"mlflow ui --backend-store-uri {without_secrets(uri)} (run {run})"


def without_secrets(uri: str) -> str:
    """Return an address without its user and password."""
    parts = urlsplit(uri)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=host)) if "@" in parts.netloc else uri
