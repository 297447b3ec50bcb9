"""What people look at in the UI: numbers that plot themselves over time, tables, and plots shown inline.

The UI shows Markdown inline only below 1,000 characters, images included; ``core.svg`` keeps every plot below that.
"""

import math
from collections.abc import Mapping
from typing import Any

import dagster as dg

INLINE_LIMIT = 1000


def picture(markdown: str) -> dg.MarkdownMetadataValue:
    """A plot of ``core.svg``, or a short Markdown text.

    Raises:
        ValueError: When the UI would hide it behind a link.
    """
    if len(markdown) >= INLINE_LIMIT:
        raise ValueError(f"{len(markdown)} characters of Markdown are not shown inline (limit {INLINE_LIMIT})")
    return dg.MetadataValue.md(markdown)


def reasons(failures: tuple[str, ...] | list[str]) -> dg.MarkdownMetadataValue:
    """Reasons of a verdict as a list; long lists are cut with a note, so that they stay inline."""
    text = "\n".join(f"- {failure}" for failure in failures) or "No reason against."
    if len(text) >= INLINE_LIMIT:
        text = text[: INLINE_LIMIT - 80].rsplit("\n", 1)[0] + "\n- … the rest is in the manifest"
    return dg.MetadataValue.md(text)


def sentence(failures: tuple[str, ...] | list[str]) -> dg.TextMetadataValue:
    """Reasons of a verdict for a check: its page shows text, but hides any Markdown behind a link."""
    return dg.MetadataValue.text(told(failures))


def told(failures: tuple[str, ...] | list[str]) -> str:
    """Reasons of a verdict in one line, for the description that a check's history shows."""
    return "; ".join(failures) or "no reason against"


def numbers(values: Mapping[str, float | int | None]) -> dict[str, float | int]:
    """Numbers that the UI plots over time; unknown ones are left out rather than shown as zero or NaN."""
    return {name: value for name, value in values.items() if value is not None and math.isfinite(value)}


def link(uri: str) -> dg.PathMetadataValue:
    """An address that can be copied."""
    return dg.MetadataValue.path(uri)


def rows(count: int) -> dict[str, Any]:
    """The row count, under the key that the UI gives a tile of its own."""
    return {"dagster/row_count": count}
