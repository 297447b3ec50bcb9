"""The catalogue as Markdown tables, each short enough to be shown inline in Dagster's UI."""

from collections.abc import Iterator, Sequence

from ml_platform.core.svg import MAX_MARKDOWN
from ml_platform.features.catalogue.catalogue import CataloguedFeature

_REQUEST = "the request"


def markdown_tables(catalogue: Sequence[CataloguedFeature]) -> dict[str, str]:
    """Return a table of the features' tables, and of the features of each: in parts where it would not be shown."""
    kept: dict[str, list[CataloguedFeature]] = {}
    for entry in catalogue:
        kept.setdefault(entry.table or _REQUEST, []).append(entry)
    places = [_place(name, entries) for name, entries in kept.items()]
    shown = dict(_parts("tables", ("kept in", "owner", "fresh until (UTC)", "made of"), places))
    for name, entries in kept.items():
        title = f"features_of_{name.rsplit('/')[-1].replace(' ', '_')}"
        shown |= _parts(title, ("feature", "meaning", "unit", "missing", "models"), [_feature(it) for it in entries])
    return shown


def _place(name: str, entries: Sequence[CataloguedFeature]) -> tuple[str, ...]:
    owners = dict.fromkeys(entry.owner for entry in entries)
    fresh = max((entry.figures.fresh_until for entry in entries if entry.figures), default=None)
    columns = dict.fromkeys(str(column) for entry in entries for column in entry.made_of)
    return name, ", ".join(owners), f"{fresh:%Y-%m-%d %H:%M}" if fresh else "", ", ".join(columns)


def _feature(entry: CataloguedFeature) -> tuple[str, ...]:
    missing = f"{entry.figures.null_rate:.2%}" if entry.figures else ""
    return entry.name, entry.meaning, entry.unit, missing, ", ".join(entry.models)


def _parts(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[tuple[str, str]]:
    head = f"{_line(headings)}\n{'|---' * len(headings)}|"
    parts = [head]
    for row in map(_line, rows):
        if parts[-1] != head and len(parts[-1]) + 1 + len(row) > MAX_MARKDOWN:
            parts.append(head)
        parts[-1] += f"\n{row}"
    for number, part in enumerate(parts, 1):
        yield (title if number == 1 else f"{title}_{number}"), part


def _line(cells: Sequence[str]) -> str:
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"
