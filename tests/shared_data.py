"""Where the development vectors lie: facts published by others, too large or too alien for this repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def shared_data() -> Path | None:
    """Folder of the vectors: $MARCHAMO_SHARED_DATA, else `../shared/data` beside the checkout, else None."""
    stated = os.environ.get("MARCHAMO_SHARED_DATA")
    folder = Path(stated) if stated else Path(__file__).resolve().parents[2] / "shared" / "data"
    return folder if folder.is_dir() else None


def shared_file(name: str) -> Path:
    """Path of one vector file or folder; skips the test by name when the vectors are absent."""
    folder = shared_data()
    if folder is None or not (folder / name).exists():
        pytest.skip(f"shared data {name} is not here (set MARCHAMO_SHARED_DATA)")
    return folder / name
