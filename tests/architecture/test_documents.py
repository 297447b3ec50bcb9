"""What the repository says about itself is true: links lead somewhere, every variable is documented, pins agree."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from ml_platform.core.settings import Settings
from tests.architecture.tree import ROOT, tracked

LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`]*`", re.DOTALL)


def broken_links(page: Path) -> list[str]:
    text = CODE.sub("", page.read_text())
    targets = [target.split("#")[0] for target in LINK.findall(text)]
    local = [target for target in targets if target and "://" not in target and not target.startswith("mailto:")]
    return [target for target in local if not (page.parent / target).exists()]


@pytest.mark.parametrize("page", tracked("*.md"), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    assert broken_links(page) == []


def test_every_setting_is_in_the_example_with_its_default() -> None:
    example = (ROOT / ".env.example").read_text()
    given = dict(re.findall(r"^ML_PLATFORM_([A-Z_]+)=(.*)$", example, re.MULTILINE))
    commented = set(re.findall(r"^# ML_PLATFORM_([A-Z_]+)=$", example, re.MULTILINE))
    assert set(given) | commented == {name.upper() for name in Settings.model_fields}


def test_the_example_can_be_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_PLATFORM_HOME", str(tmp_path))
    defaults = Settings.load()
    (tmp_path / "platform.env").write_text((ROOT / ".env.example").read_text())
    assert Settings.load() == defaults


def test_every_direct_dependency_is_locked_at_a_version_it_accepts() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [Requirement(line) for line in [*project["dependencies"], *project["optional-dependencies"]["dev"]]]
    locked = dict(re.findall(r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)", (ROOT / "requirements.lock").read_text(), re.M))
    out_of_step = [
        str(requirement)
        for requirement in wanted
        if locked.get(requirement.name.lower(), "") not in requirement.specifier
    ]
    assert out_of_step == []


def test_every_locked_package_has_hashes() -> None:
    for lock in (ROOT / "requirements.lock", ROOT / "infra" / "requirements.lock"):
        entries = re.split(r"^(?=[a-z0-9])", lock.read_text(), flags=re.MULTILINE)[1:]
        assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_every_make_target_on_the_menu_exists_and_the_menu_is_short() -> None:
    makefile = (ROOT / "Makefile").read_text()
    menu = re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE)
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert set(menu) | {"menu"} == set(phony.split())
    assert len(menu) <= 12


def test_actions_are_pinned_by_commit() -> None:
    for workflow in tracked(".github/workflows/*.yml"):
        uses = re.findall(r"uses: (\S+)", workflow.read_text())
        assert [action for action in uses if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action)] == []
