"""The verdict: how every gate, drift, rollout and service-level judgement is expressed."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judgement that lists every reason against; it passed when there is none.

    A signal that could not be read is a reason against, never a zero.
    """

    failures: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against."""
        return not self.failures

    def __add__(self, other: "Verdict") -> "Verdict":
        return Verdict(self.failures + other.failures)

    @classmethod
    def of(cls, failures: Iterable[str]) -> "Verdict":
        """Build a verdict from any iterable of reasons."""
        return cls(tuple(failures))

    def as_markdown(self) -> str:
        """The reasons as a Markdown list, or one line that says there is none."""
        return "\n".join(f"- {failure}" for failure in self.failures) or "No reason against."
