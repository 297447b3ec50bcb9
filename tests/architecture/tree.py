"""The files of the repository, as git knows them, so that nobody's local leftovers are judged."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def tracked(pattern: str = "*") -> list[Path]:
    """Return the tracked files that match a glob; without a git checkout, the files on disk."""
    listed = subprocess.run(["git", "ls-files", pattern], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return sorted(path for line in listed.stdout.splitlines() if (path := ROOT / line).is_file())
    return sorted(
        path for path in ROOT.glob(f"**/{pattern}") if not path.relative_to(ROOT).parts[0].startswith(".venv")
    )
