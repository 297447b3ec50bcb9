"""Fingerprints: stable SHA-256 hashes of the data, code and configuration behind a result."""

import hashlib
import json
from collections.abc import Mapping
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
