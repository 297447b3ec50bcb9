"""The policy in force is read once, replaced when it changes, and outlives an S3 that is away."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from ml_platform.aws.objects import ObjectNotFoundError, ObjectStore
from ml_platform.core import names
from ml_platform.core.errors import ConfigurationError, ServiceUnavailableError
from ml_platform.modeling.decision_policy import DecisionPolicy
from ml_platform.scoring.policy_in_force import MAX_AGE, PolicyInForce
from ml_platform.scoring.transaction import decide

KEY = names.decision_policy_in_force("card_fraud")


class Watch:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = datetime(2026, 2, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_max_age(self) -> None:
        self.now += MAX_AGE


def at_once(look: Callable[[], None]) -> None:
    look()


def a_policy(saving: float) -> DecisionPolicy:
    return DecisionPolicy(model="card_fraud", artifact_fingerprint="f", min_review_saving=saving)


def put(store: ObjectStore, policy: DecisionPolicy) -> None:
    store.put(KEY, policy.model_dump_json().encode())


def test_another_policy_decides_once_the_first_has_been_looked_at_long_enough(store: ObjectStore) -> None:
    watch = Watch()
    in_force = PolicyInForce(store, "card_fraud", watch, beside=at_once)
    assert in_force.current() is None
    put(store, a_policy(1.0))
    assert in_force.current() is None
    watch.pass_max_age()
    assert in_force.current() == a_policy(1.0)
    put(store, a_policy(2.0))
    watch.now += MAX_AGE - timedelta(seconds=1)
    assert in_force.current() == a_policy(1.0)
    watch.pass_max_age()
    assert in_force.current() == a_policy(2.0)


def test_a_policy_that_did_not_change_is_not_sent_again(store: ObjectStore) -> None:
    put(store, a_policy(1.0))
    content, etag = store.get_unless(KEY, None) or (b"", "")
    assert DecisionPolicy.model_validate_json(content) == a_policy(1.0)
    assert store.get_unless(KEY, etag) is None
    put(store, a_policy(2.0))
    assert store.get_unless(KEY, etag) is not None
    with pytest.raises(ObjectNotFoundError):
        store.get_unless("nothing", etag)


def test_the_last_policy_decides_while_the_new_one_cannot_be_read(store: ObjectStore) -> None:
    watch = Watch()
    put(store, a_policy(1.0))
    in_force = PolicyInForce(store, "card_fraud", watch, beside=at_once)
    assert in_force.current() == a_policy(1.0)
    store.put(KEY, b"{}")
    watch.pass_max_age()
    assert in_force.current() == a_policy(1.0)


class Away(ObjectStore):
    """An S3 that does not answer; the real client takes most of a minute to say so."""

    def get_unless(self, key: str, etag: str | None) -> tuple[bytes, str] | None:
        raise ServiceUnavailableError(f"Cannot read {key}: {etag}")


def test_the_last_policy_decides_while_s3_is_away(store: ObjectStore) -> None:
    watch = Watch()
    put(store, a_policy(1.0))
    in_force = PolicyInForce(store, "card_fraud", watch, beside=at_once)
    assert in_force.current() == a_policy(1.0)
    in_force.store = Away(store.bucket, store.region)
    watch.pass_max_age()
    assert in_force.current() == a_policy(1.0)
    with pytest.raises(ServiceUnavailableError):
        PolicyInForce(in_force.store, "card_fraud", watch).current()


def test_a_decision_does_not_wait_for_s3(store: ObjectStore) -> None:
    """Nor do others look at the same time."""
    watch = Watch()
    put(store, a_policy(1.0))
    waiting: list[Callable[[], None]] = []
    in_force = PolicyInForce(store, "card_fraud", watch, beside=waiting.append)
    assert in_force.current() == a_policy(1.0)
    put(store, a_policy(2.0))
    watch.pass_max_age()
    assert [in_force.current() for _ in range(3)] == [a_policy(1.0)] * 3
    (look,) = waiting
    look()
    assert in_force.current() == a_policy(2.0)


def test_a_first_policy_that_cannot_be_read_is_an_error(store: ObjectStore) -> None:
    store.put(KEY, b'{"model": "card_fraud"}')
    with pytest.raises(ConfigurationError, match="decision_policy again"):
        PolicyInForce(store, "card_fraud").current()


def test_without_policy_or_amount_nothing_is_decided() -> None:
    assert decide(None, 0.5, 10.0) is None
    assert decide(a_policy(0.0), 0.5, None) is None
    assert decide(a_policy(0.0), 1.0, 10.0) == "decline"
