"""What callers ask for is read as they wrote it, refused in words, and attributes of others are left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_platform.modeling.asked import MAX_ASKED, NOTHING, Asked
from ml_platform.modeling.codec import RequestError

policies = st.from_regex(r"[A-Za-z0-9._-]{0,64}", fullmatch=True)


@given(st.integers(0, MAX_ASKED), policies)
def test_what_is_written_is_read_back(reasons: int, policy: str) -> None:
    asked = Asked(reasons=reasons, policy=policy)
    assert Asked.read(asked.written()) == asked


@pytest.mark.parametrize("attributes", ["", "trace=7", "fingerprint=abc; span=1", "reason=4", "=", "reasons=0"])
def test_attributes_of_others_ask_for_nothing(attributes: str) -> None:
    assert Asked.read(attributes) == NOTHING
    assert not Asked.read(attributes).recorded


def test_ours_are_found_among_others() -> None:
    assert Asked.read("trace=7; reasons = 3,policy=1a2b") == Asked(reasons=3, policy="1a2b")


@pytest.mark.parametrize(
    "attributes", ["reasons=", "reasons=many", "reasons=-1", "reasons=17", "reasons=²", "reasons=1" + "0" * 5000]
)
def test_a_number_of_reasons_that_is_none_is_refused(attributes: str) -> None:
    with pytest.raises(RequestError, match="whole number up to 16"):
        Asked.read(attributes)


@pytest.mark.parametrize("policy", ["a b", 'x"}', "p" * 65])
def test_a_policy_that_could_not_be_a_version_is_refused(policy: str) -> None:
    with pytest.raises(RequestError, match="policy="):
        Asked.read(f"policy={policy}")
