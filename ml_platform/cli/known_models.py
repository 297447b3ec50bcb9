"""Which models this platform has: the folders under ``defs/models``."""

from pathlib import Path

from ml_platform.core.errors import ConfigurationError

FOLDER = Path(__file__).resolve().parents[1] / "defs" / "models"


def known_models() -> list[str]:
    """Return the names of all models."""
    return sorted(
        path.name for path in FOLDER.glob("*") if (path / "defs.yaml").is_file() or (path / "model.py").is_file()
    )


def require_model(name: str) -> str:
    """Return a model's name if there is such a model.

    Raises:
        ConfigurationError: When there is none; the message lists those there are.
    """
    models = known_models()
    if name not in models:
        raise ConfigurationError(f"There is no model {name!r}. Known models: {', '.join(models) or 'none yet'}.")
    return name
