"""What an instance of a job may use, and which folders it may name."""

import asyncio
from pathlib import Path

import pytest

from ml_platform.local_sagemaker import instances
from ml_platform.local_sagemaker.containers_setup import Host
from ml_platform.local_sagemaker.instances import GIBIBYTE, Instance, disk_usage, memory_bytes
from ml_platform.local_sagemaker.service import AwsError
from ml_platform.local_sagemaker.training_files import check_live_path


@pytest.mark.parametrize(
    ("instance_type", "gibibytes"),
    [("ml.t3.medium", 4), ("ml.m5.large", 8), ("ml.c5.xlarge", 8), ("ml.r5.2xlarge", 64), ("ml.m7i-flex.4xlarge", 64)],
)
def test_the_memory_of_the_usual_instance_types_is_known(instance_type: str, gibibytes: int) -> None:
    assert memory_bytes(instance_type) == gibibytes * GIBIBYTE


@pytest.mark.parametrize("instance_type", [None, "ml.p3.2xlarge", "ml.m5.metal", "local"])
def test_other_types_have_no_limit(instance_type: str | None) -> None:
    assert memory_bytes(instance_type) is None


def test_a_full_disk_is_noticed_and_links_count_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instances, "DISK_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(instances, "GIBIBYTE", 1 << 20)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(bytes(2 << 20))
    (tmp_path / "link").symlink_to("/")
    assert 2 << 20 <= disk_usage(tmp_path) < 3 << 20

    async def watch() -> bool:
        full = asyncio.Event()
        await asyncio.wait_for(instances._watch_disk([Instance(Host("algo-1"), tmp_path)], 1, full), 5)
        return full.is_set()

    assert asyncio.run(watch())


@pytest.mark.parametrize("path", ["/opt/ml/checkpoints", "/opt/ml/checkpoints/deep", "/opt/ml/output/tensorboard"])
def test_a_folder_of_its_own_can_be_live(path: str) -> None:
    check_live_path("CheckpointConfig", path)


@pytest.mark.parametrize(
    "path", ["/opt/ml", "/opt/ml/output", "/opt/ml/input/data", "/etc", "x", "/opt/ml/../x", "/opt/ml/a\0"]
)
def test_no_other_folder_can(path: str) -> None:
    with pytest.raises(AwsError, match="LocalPath"):
        check_live_path("CheckpointConfig", path)
