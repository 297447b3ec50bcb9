"""The images install what the tests ran, all that their code imports, and start so that a stop reaches it."""

import json
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from ml_platform.containers.image_lock import IMAGES, image_lock, lock_path, needed_by
from tests.unit.containers.jobs import clean_environment

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("image", IMAGES)
def test_an_images_lock_is_the_part_of_the_projects_lock_it_needs(image: str) -> None:
    project_lock = (ROOT / "requirements.lock").read_text()
    assert lock_path(image).read_text() == image_lock(project_lock, IMAGES[image]), (
        "run `python -m ml_platform.containers.image_lock requirements.lock`"
    )


@pytest.mark.parametrize("image", IMAGES)
def test_every_needed_package_is_pinned_with_hashes(image: str) -> None:
    pins = re.split(r"\n(?=\S)", lock_path(image).read_text())[1:]
    assert {canonicalize_name(pin.partition("==")[0]) for pin in pins} == needed_by(IMAGES[image])
    assert all("--hash=sha256:" in pin for pin in pins)


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_without_the_orchestrator_has_all_its_code_imports(image: str, tmp_path: Path) -> None:
    """Import the image's modules with every package hidden that its lock does not hold."""
    allowed = needed_by(IMAGES[image])
    hidden = sorted(
        name
        for name, owners in packages_distributions().items()
        if name.isidentifier()
        and name != "ml_platform"
        and not {canonicalize_name(owner) for owner in owners} & allowed
    )
    modules = {
        "training": ["containers.training.__main__", "modeling.pipeline"],
        "serving": ["containers.serving.__main__", "containers.serving.app", "modeling.artifact"],
    }[image]
    program = (
        f"import sys\nsys.modules.update(dict.fromkeys({json.dumps(hidden)}))\n"
        + "".join(f"import ml_platform.{module}\n" for module in modules)
        + "import lightgbm\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("image", IMAGES)
def test_a_dockerfile_starts_its_entry_point_directly(image: str) -> None:
    text = (ROOT / "ml_platform" / "containers" / image / "Dockerfile").read_text()
    assert f'ENTRYPOINT ["python", "-m", "ml_platform.containers.{image}"]' in text
    assert "--require-hashes" in text
    copied = [line.split()[1] for line in text.splitlines() if line.startswith("COPY")]
    assert copied
    assert all((ROOT / path).exists() for path in copied)
