"""Read a job's channels: directories of Parquet files, and the one with the model's own training code."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ml_platform.core.errors import ArtifactError
from ml_platform.modeling.contract import CODE_CHANNEL, ContainerPaths
from ml_platform.modeling.schema import Signature
from ml_platform.modeling.training_code import FILE, Fit, load_training_code


def read_code(paths: ContainerPaths, digest: str) -> Fit | None:
    """Return the model's own training code, whose digest the hyper-parameters say; None for a job without.

    Raises:
        ConfigurationError: When it is missing, is another file than was asked for, or cannot be run.
    """
    return load_training_code(paths.channel(CODE_CHANNEL) / FILE, digest) if digest else None


def read_channel(
    paths: ContainerPaths, name: str, signature: Signature, more: tuple[str, ...] = ()
) -> pd.DataFrame | None:
    """Return the channel's features and label, files in name order; None when the job has no such channel.

    Args:
        paths: The job's files.
        name: The channel.
        signature: Which features and label.
        more: Other columns that are needed.

    Raises:
        ArtifactError: When the channel holds no Parquet file, no row, an unreadable file, or lacks a column.
    """
    directory = paths.channel(name)
    if not directory.is_dir():
        return None
    files = sorted(directory.rglob("*.parquet"))
    if not files:
        raise ArtifactError(f"Channel {name!r} holds no Parquet file; check the channel's S3 address.")
    frame = pd.concat(
        [_read_file(file, name, [*signature.features, signature.label, *more]) for file in files], ignore_index=True
    )
    if frame.empty:
        raise ArtifactError(f"Channel {name!r} has {len(files)} Parquet files but not one row.")
    return frame


def _read_file(file: Path, channel: str, columns: list[str]) -> pd.DataFrame:
    try:
        with pq.ParquetFile(file) as parquet:
            missing = [name for name in columns if name not in parquet.schema_arrow.names]
            if missing:
                raise ArtifactError(f"{file.name} of channel {channel!r} lacks {', '.join(missing)}.")
            return parquet.read(columns=columns).to_pandas()
    except (pa.ArrowException, OSError) as error:
        raise ArtifactError(f"{file.name} of channel {channel!r} is not readable Parquet: {error}.") from error
