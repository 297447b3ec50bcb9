"""Fingerprints: stable SHA-256 hashes of the data, code and configuration behind a result."""

import hashlib
import io
import json
import tokenize
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any


def fingerprint_bytes(content: bytes) -> str:
    """Return the hex SHA-256 of ``content``."""
    return hashlib.sha256(content).hexdigest()


def fingerprint_json(value: Any) -> str:
    """Return the hex SHA-256 of a JSON-serialisable value, independent of key order and white space."""
    return fingerprint_bytes(json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode())


def fingerprint_parts(parts: Mapping[str, str]) -> str:
    """Return one fingerprint over several named ones, such as data, code and feature service."""
    return fingerprint_json(dict(parts))


def fingerprint_tree(root: Path, pattern: str = "*.py") -> str:
    """Return the fingerprint of all files under ``root`` that match: names and contents, not times."""
    files = sorted(path for path in root.rglob(pattern) if path.is_file())
    return fingerprint_json([(str(path.relative_to(root)), fingerprint_bytes(path.read_bytes())) for path in files])


def fingerprint_source(root: Path) -> str:
    """Return the fingerprint of what the Python files under ``root`` do: no comment, docstring or blank line counts."""
    files = sorted(path for path in root.rglob("*.py") if path.is_file())
    return fingerprint_json([(str(path.relative_to(root)), without_comments(path.read_text())) for path in files])


@lru_cache(maxsize=512)
def without_comments(source: str) -> str:
    """Return Python source without comments, blank lines, and strings that stand alone, such as docstrings.

    By position and not by syntax tree, whose form differs between versions of Python.
    """
    lines, spans = source.split("\n"), []
    begins, held = True, None
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            spans.append((token.start, token.end))
        elif token.type == tokenize.NEWLINE and held is not None:
            spans.append(held)
        # An f-string runs code.
        alone = (
            begins and token.type == tokenize.STRING and "f" not in token.string.partition(token.string[-1])[0].lower()
        )
        if token.type not in {tokenize.COMMENT, tokenize.NL}:
            held = (token.start, token.end) if alone else None
            begins = token.type in {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    for (row, column), (last_row, last_column) in sorted(spans, reverse=True):
        lines[row - 1 : last_row] = [lines[row - 1][:column] + lines[last_row - 1][last_column:]]
    return "\n".join(line.rstrip() for line in lines if line.strip())
