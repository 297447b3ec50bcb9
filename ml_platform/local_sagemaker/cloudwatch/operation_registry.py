"""The operations of CloudWatch, by name: the modules that hold them register here."""

from collections.abc import Callable

from ml_platform.local_sagemaker.service import Handler

CLOUDWATCH_OPERATIONS: dict[str, Handler] = {}


def cloudwatch_operation(name: str) -> Callable[[Handler], Handler]:
    """Register the handler of a CloudWatch operation; some names exist in SageMaker too."""

    def register(handler: Handler) -> Handler:
        CLOUDWATCH_OPERATIONS[name] = handler
        return handler

    return register
