"""A witness in a folder of its own."""

from pathlib import Path

import pytest

from ledger.witness.cosigner import Cosigner
from tests.witness_builders import make_cosigner


@pytest.fixture
def cosigner(tmp_path: Path) -> Cosigner:
    return make_cosigner(tmp_path)
