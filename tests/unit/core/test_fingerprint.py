"""What counts as a change of code: what it does, not what is said about it."""

from pathlib import Path

import pytest

from ml_platform.core.fingerprint import fingerprint_source, without_comments

CODE = '''"""A module."""

LIMIT = 3  # of tries


def tries(name: str) -> str:
    """Return a text."""
    # Not a comment but text: "#".
    return f"# {name} {LIMIT}"
'''


def fingerprint(folder: Path, code: str) -> str:
    (folder / "code.py").write_text(code)
    return fingerprint_source(folder)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("of tries", "of attempts"),
        ("A module.", "A module that counts.\n\nAt length."),
        ("Return a text.", "Give a text."),
        ('"""Return a text."""', '"Return a text."'),
        ("# Not a comment but text", "\n    # Text"),
    ],
)
def test_comments_docstrings_and_blank_lines_are_no_change(tmp_path: Path, before: str, after: str) -> None:
    assert before in CODE
    assert fingerprint(tmp_path, CODE) == fingerprint(tmp_path, CODE.replace(before, after))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("= 3", "= 4"),
        ('f"# {name}', 'f"{name}'),
        ('"""Return a text."""', '"""Return a text."""; LIMIT = 9'),
        ('"""Return a text."""', 'f"{print(name)}"'),
        ('"""Return a text."""', 'name = """Return a text."""'),
    ],
)
def test_whatever_runs_is_a_change(tmp_path: Path, before: str, after: str) -> None:
    assert before in CODE
    assert fingerprint(tmp_path, CODE) != fingerprint(tmp_path, CODE.replace(before, after))


def test_what_is_left_is_the_code_as_it_stands() -> None:
    assert without_comments(CODE) == 'LIMIT = 3\ndef tries(name: str) -> str:\n    return f"# {name} {LIMIT}"'


def test_the_place_of_a_file_counts(tmp_path: Path) -> None:
    before = fingerprint(tmp_path, CODE)
    (tmp_path / "code.py").rename(tmp_path / "moved.py")
    assert fingerprint_source(tmp_path) != before
