"""What checking rows loads: in a process of its own, because this one has loaded everything already."""

import subprocess
import sys

CHECKS_AND_LOOKS = """
import sys
from datetime import date
from ml_platform.core.settings import Settings
from ml_platform.ingestion.declaration import TRANSACTIONS
from ml_platform.ingestion.quality import split_rows
from ml_platform.ingestion.source import open_source

day = date(2026, 1, 10)
source = open_source(Settings(simulator_customers=20, simulator_terminals=50))
assert split_rows(TRANSACTIONS, source.transactions(day, day)).quarantined.is_empty()
assert not {"pyspark", "hypothesis"} & set(sys.modules)
import hypothesis
assert hypothesis.__version__
"""


def test_rows_are_checked_without_what_pandera_has_for_others_who_can_still_import_it() -> None:
    checked = subprocess.run([sys.executable, "-c", CHECKS_AND_LOOKS], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
