"""All targets of the fuzzers."""

from __future__ import annotations

from tests.ledger.fuzz_documents import DOCUMENTS
from tests.ledger.fuzz_formats import FORMATS

TARGETS = (*FORMATS, *DOCUMENTS)
