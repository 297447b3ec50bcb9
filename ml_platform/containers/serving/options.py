"""What the environment says about a server: where to listen, how much to take, how to answer."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from ml_platform.core.errors import ConfigurationError
from ml_platform.modeling import contract
from ml_platform.modeling.codec import NotAcceptableError, negotiate

_LARGEST_PORT: Final = 65535
_LARGEST_PAYLOAD_MB: Final = 1024
_MB: Final = 2**20


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Settings of one server; the defaults are the ones outside a container."""

    host: str = "127.0.0.1"
    port: int = contract.DEFAULT_PORT
    max_payload_bytes: int = contract.DEFAULT_MAX_PAYLOAD_MB * _MB
    default_accept: str = contract.JSON

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read SageMaker's variables.

        Raises:
            ConfigurationError: When one cannot be used; the message names it.
        """
        # A transform job says 0 when it streams files of any length; the container still keeps a bound.
        payload = _integer(environment, contract.MAX_PAYLOAD_VARIABLE, contract.DEFAULT_MAX_PAYLOAD_MB)
        accept = environment.get(contract.DEFAULT_ACCEPT_VARIABLE) or contract.JSON
        try:
            negotiate(accept)
        except NotAcceptableError as error:
            raise ConfigurationError(f"{contract.DEFAULT_ACCEPT_VARIABLE}: {error}.") from error
        port = _integer(environment, contract.BIND_PORT_VARIABLE, contract.DEFAULT_PORT)
        if not 0 < port <= _LARGEST_PORT:
            raise ConfigurationError(f"{contract.BIND_PORT_VARIABLE}={port} is no port.")
        return cls(
            host=environment.get(contract.BIND_HOST_VARIABLE) or "127.0.0.1",
            port=port,
            max_payload_bytes=min(payload or _LARGEST_PAYLOAD_MB, _LARGEST_PAYLOAD_MB) * _MB,
            default_accept=accept,
        )


def _integer(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not (text.isascii() and text.isdigit()):
        raise ConfigurationError(f"{name}={text!r} must be a whole number.")
    return int(text)
