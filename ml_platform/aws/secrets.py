"""Secrets that settings refer to by name. They are returned, never logged and never kept."""

import json

from botocore.exceptions import BotoCoreError, ClientError

from ml_platform.aws import clients
from ml_platform.core.errors import ConfigurationError


def read_password(region: str, secret: str) -> str:
    """Return the password in a secret: its whole text, or the ``password`` of the JSON that RDS writes.

    Raises:
        ConfigurationError: When there is no such secret or it may not be read.
    """
    try:
        text: str = clients.secrets(region).get_secret_value(SecretId=secret)["SecretString"]
    except (ClientError, BotoCoreError, KeyError) as error:
        raise ConfigurationError(
            f"The secret {secret} cannot be read ({type(error).__name__}). Check ML_PLATFORM_SOURCE_PASSWORD_SECRET "
            "and that these credentials may call secretsmanager:GetSecretValue on it."
        ) from error
    try:
        return str(json.loads(text)["password"])
    except (ValueError, TypeError, KeyError):
        return text
