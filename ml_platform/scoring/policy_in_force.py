"""The decision policy in force: read from S3, kept by its ETag, looked at again now and then.

A policy is replaced without a deployment. A scorer therefore asks S3 every ``MAX_AGE`` whether there is another one,
beside its work: only the very first decision waits for S3, which takes most of a minute when it is away. Until it
answers, the policy at hand goes on: to decide by yesterday's policy is better than not at all.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic import ValidationError

from ml_platform.aws.objects import ObjectNotFoundError, ObjectStore
from ml_platform.core import names
from ml_platform.core.clock import Clock, utc_now
from ml_platform.core.errors import ConfigurationError, MLPlatformError
from ml_platform.modeling.decision_policy import DecisionPolicy

_log = logging.getLogger(__name__)

MAX_AGE = timedelta(seconds=30)


def beside_the_work(look: Callable[[], None]) -> None:
    """Run it in a thread that keeps no process alive."""
    threading.Thread(target=look, name="policy-in-force", daemon=True).start()


@dataclass(slots=True)
class PolicyInForce:
    """The policy of one model; threads may share it."""

    store: ObjectStore
    model: str
    clock: Clock = utc_now
    max_age: timedelta = MAX_AGE
    beside: Callable[[Callable[[], None]], None] = beside_the_work
    """Runs a look at S3 for which no decision waits."""
    _policy: DecisionPolicy | None = field(default=None, init=False)
    _etag: str | None = field(default=None, init=False)
    _looked_at: datetime | None = field(default=None, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def current(self) -> DecisionPolicy | None:
        """Return the policy that decides now, or None before the first one.

        Raises:
            ConfigurationError: When the first one cannot be read: it is none of this version, or S3 refuses.
            ServiceUnavailableError: When the first one cannot be read because S3 does not answer.
        """
        now = self.clock()
        with self._lock:
            if self._policy is None and (self._looked_at is None or now - self._looked_at >= self.max_age):
                self._look()
                self._looked_at = now
            elif self._looked_at is not None and now - self._looked_at >= self.max_age:
                # Noted before it is done: one look at a time is enough.
                self._looked_at = now
                self.beside(self._look)
            return self._policy

    def _look(self) -> None:
        key = names.decision_policy_in_force(self.model)
        try:
            found = self.store.get_unless(key, self._etag)
            if found is not None:
                self._policy, self._etag = DecisionPolicy.model_validate_json(found[0]), found[1]
        except ObjectNotFoundError:
            self._policy, self._etag = None, None
        except ValidationError as error:
            if self._policy is None:
                raise ConfigurationError(
                    f"{self.store.uri(key)} is no decision policy of this version. Materialize "
                    f"{self.model}/decision_policy again."
                ) from error
            _log.warning("the new policy of %s cannot be read; %s decides on", self.model, self._policy.version)
        except MLPlatformError:
            if self._policy is None:
                raise
            _log.warning("S3 does not answer; policy %s of %s decides on", self._policy.version, self.model)
