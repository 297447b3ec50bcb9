"""Features of live payments, read from the online store as a model wants them: in its order, never too old.

Every payment is looked up as of the instant a training set would use, so that what is served equals what a training
set holds (``features.online.parity`` checks it).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NotRequired, TypedDict

from ml_platform.core.settings import Settings
from ml_platform.features.offline.lookup import WHEN_ABSENT, lookup_instant, references
from ml_platform.features.online.materialization import require_materialized
from ml_platform.features.store import feature_store, trained_as
from ml_platform.features.tables import MODEL_FEATURES, REQUEST_FEATURES

INSTANT = "event_timestamp"
"""Column by which the online store is told as of when values count (``features.online.reading``)."""


class PaymentRequest(TypedDict):
    """A payment to be scored."""

    customer_id: str
    terminal_id: str
    amount: float
    transaction_time: datetime
    transaction_id: NotRequired[str]
    """Its name. By it exact windows see that the payment's own event came before it was scored."""


class OnlineFeatures:
    """The online store, for one feature service and one list of features."""

    def __init__(
        self, settings: Settings, features: Sequence[str] = MODEL_FEATURES, feature_service: str = "fraud_v1"
    ) -> None:
        """Open the online store.

        Args:
            settings: The platform's settings.
            features: The model's inputs in the order of its signature, request features included.
            feature_service: Feast feature service that serves the others.

        Raises:
            FeatureError: When the service does not serve them, or the online store was never filled.
        """
        self._store = feature_store(settings)
        self._features = tuple(features)
        self._references = references(self._store, feature_service, self._features)
        self._exact = trained_as(self._store, feature_service) != feature_service
        self.materialized_until = require_materialized(self._store)
        """Midnight up to which the online store knows payments."""

    def read(self, requests: Sequence[PaymentRequest]) -> list[dict[str, float | None]]:
        """Return the features of each payment, in the order of the requests and of the features.

        A card or terminal the store does not know, or not any more, has counts and rates of 0 and no means (None).
        """
        if not requests:
            return []
        columns = self._read_columns(requests) if self._references else {}
        for name in REQUEST_FEATURES:
            columns[name] = [float(request["amount"]) for request in requests]
        return [{name: columns[name][row] for name in self._features} for row in range(len(requests))]

    def _read_columns(self, requests: Sequence[PaymentRequest]) -> dict[str, list[float | None]]:
        found = self._store.get_online_features(
            list(self._references.values()), [self._entity_row(request) for request in requests]
        ).to_dict()
        return {
            name: [WHEN_ABSENT.get(name) if value is None else float(value) for value in found[name]]
            for name in self._references
        }

    def _entity_row(self, request: PaymentRequest) -> dict[str, object]:
        at = request["transaction_time"]
        return {
            "customer_id": request["customer_id"],
            "terminal_id": request["terminal_id"],
            "transaction_id": request.get("transaction_id", ""),
            "amount": float(request["amount"]),
            "transaction_time": at,
            INSTANT: at if self._exact else lookup_instant(at),
        }
