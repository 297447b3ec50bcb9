"""The stand-in's store: names are unique, filters come before paging, and edits are whole."""

from pathlib import Path

import pytest

from ml_platform.local_sagemaker.store import DuplicateError, Query, Store


@pytest.fixture
def jobs(tmp_path: Path) -> Store:
    store = Store(tmp_path / "state" / "resources.sqlite")
    for number in range(6):
        store.insert("job", f"job-{number}", {"Number": number, "Status": "Failed" if number % 2 else "Done"})
    return store


def names(store: Store, query: Query) -> list[str]:
    return [row.name for row in store.select("job", query)]


def test_a_name_is_taken_once_within_its_kind(jobs: Store) -> None:
    with pytest.raises(DuplicateError):
        jobs.insert("job", "job-1", {})
    jobs.insert("model", "job-1", {"other": "kind"})
    assert jobs.get("job", "job-1") == {"Number": 1, "Status": "Failed"}


def test_filters_come_before_the_limit(jobs: Store) -> None:
    query = Query(equals={"Status": "Failed"}, sort="name", descending=False, limit=2)
    assert names(jobs, query) == ["job-1", "job-3"]


def test_a_page_goes_on_behind_the_last_row_in_either_direction(jobs: Store) -> None:
    first = jobs.select("job", Query(limit=4))
    rest = Query(after=(first[-1].sort_value, first[-1].name))
    assert [row.name for row in first] + names(jobs, rest) == [f"job-{number}" for number in range(5, -1, -1)]
    assert names(jobs, Query(sort="Status", descending=False, after=("Done", "job-4"))) == ["job-1", "job-3", "job-5"]


def test_names_are_searched_as_text_not_as_patterns(jobs: Store) -> None:
    assert names(jobs, Query(name_contains="JOB-3")) == ["job-3"]
    assert names(jobs, Query(name_contains="%")) == []


def test_an_update_removes_members_set_to_none_and_keeps_the_creation_time(jobs: Store) -> None:
    before = jobs.select("job", Query(name_contains="job-2"))[0].sort_value
    assert jobs.update("job", "job-2", Status=None, Reason="x") == {"Number": 2, "Reason": "x"}
    assert jobs.select("job", Query(name_contains="job-2"))[0].sort_value == before
    with pytest.raises(KeyError):
        jobs.update("job", "absent", Status="x")


def test_deleting_says_whether_there_was_something(jobs: Store) -> None:
    assert jobs.delete("job", "job-0")
    assert not jobs.delete("job", "job-0")


def test_another_process_reads_what_was_written(jobs: Store, tmp_path: Path) -> None:
    assert Store(tmp_path / "state" / "resources.sqlite").get("job", "job-5") == {"Number": 5, "Status": "Failed"}


def test_what_is_appended_keeps_its_order_also_over_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "resources.sqlite"
    for first in (0, 500):
        store = Store(path)
        given = [store.append("event", {"Number": first + number}) for number in range(500)]
        assert given == sorted(given)
        store.close()
    rows = Store(path).select("event", Query(sort="name", descending=False))
    assert [row.body["Number"] for row in rows] == [*range(1000)]
