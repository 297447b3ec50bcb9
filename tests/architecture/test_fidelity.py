"""The page on the stand-in's fidelity gives each behaviour one proof, and counts them truly."""

import re
from collections import Counter

from tests.architecture.tree import ROOT

PAGE = ROOT / "docs" / "fidelity.md"
PROOFS = ("client", "model", "docs", "unverified")
HEADING = "| Behaviour | Proof | Shown by; or what is open |"


def behaviours() -> list[list[str]]:
    """Return the cells of every row of the tables of behaviours."""
    tables = [part.split("\n\n")[0].splitlines()[2:] for part in PAGE.read_text().split(HEADING)[1:]]
    return [[cell.strip() for cell in row.strip("|").split("|")] for table in tables for row in table]


def test_each_behaviour_has_exactly_one_proof() -> None:
    """Whatever is unsure about a behaviour is a row of its own, so that it is counted."""
    assert len(behaviours()) > 40
    assert [row for row in behaviours() if len(row) != 3 or row[1] not in PROOFS] == []


def test_the_summary_counts_the_rows() -> None:
    summary = dict(re.findall(r"^\| \*\*(\w+)\*\* \| (\d+) \|", PAGE.read_text(), re.MULTILINE))
    counted = Counter(row[1] for row in behaviours())
    assert {proof: int(count) for proof, count in summary.items()} == {proof: counted[proof] for proof in PROOFS}


def test_no_table_of_behaviours_has_another_shape() -> None:
    others = [line for line in PAGE.read_text().splitlines() if line.startswith("| Behaviour") and line != HEADING]
    assert others == []
