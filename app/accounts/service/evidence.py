"""Documents that prove a right: handed in by the applicant, sealed, read by the registry only.

A document is kept as its bytes and nothing else: its type is told from its content, its name on the applicant's machine
is not kept. Its SHA-256 stands in the ledger's statement of the decision: what was decided on cannot be swapped.
"""

import hashlib
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.models import EvidenceDocumentRow, IssuingRightRow
from app.accounts.service import records
from app.accounts.values import Right
from app.accounts.vocabulary import RightStatus
from app.core.authorisation import Principal
from app.core.clock import now_ms
from app.core.database import write_session
from app.core.errors import Conflict, Forbidden, Invalid, NotFound, TooLarge
from app.core.sealing import Sealer
from app.core.services import Services

MAX_DOCUMENT = 5 * 1024 * 1024
"""Largest document in bytes."""
SUFFIXES = {"application/pdf": "pdf", "image/png": "png", "image/jpeg": "jpg"}
"""The types that are taken, with the end of a file name that says so."""

_PNG_START = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_PNG_END = b"\x00\x00\x00\x00IEND\xae\x42\x60\x82"


@dataclass(frozen=True, slots=True)
class EvidenceDocument:
    """A document, opened; `sha256` as in the right's statement, in hexadecimal digits."""

    reference: str
    media_type: str
    data: bytes
    sha256: str

    @property
    def file_name(self) -> str:
        """A name to save it under: that of the right."""
        return f"evidence-{self.reference}.{SUFFIXES[self.media_type]}"


def media_type_of(data: bytes) -> str | None:
    """The type of a document by its first and last bytes; None for what is not taken here."""
    if data.startswith(b"%PDF-") and b"%%EOF" in data[-1024:]:  # ISO 32000-1, 7.5.2 and 7.5.5
        return "application/pdf"
    if data.startswith(_PNG_START) and data.endswith(_PNG_END):  # ISO/IEC 15948, 5.2 and 11.2.5
        return "image/png"
    if data.startswith(b"\xff\xd8\xff") and data.rstrip(b"\x00").endswith(b"\xff\xd9"):  # ISO/IEC 10918-1, B.2.1
        return "image/jpeg"
    return None


def check_document(data: bytes) -> str:
    """The type of a document that can be handed in; raises TooLarge, Invalid."""
    if len(data) > MAX_DOCUMENT:
        raise TooLarge("The document is larger than 5 megabytes.", code="document_too_large")
    media_type = media_type_of(data)
    if media_type is None:
        raise Invalid(
            "The document must be a complete PDF, PNG or JPEG file.",
            code="document_type",
            fix="Scan or photograph the certificate, or save it as PDF.",
        )
    return media_type


def hand_in_evidence(services: Services, *, by: Principal, reference: str, data: bytes) -> Right:
    """Keep the document of a request that waits for a decision; it replaces one handed in before.

    Raises TooLarge, Invalid (another type than PDF, PNG or JPEG), NotFound (not the caller's request), Conflict when it
    is decided already.
    """
    if by.organisation_id is None:
        raise Forbidden
    media_type = check_document(data)
    sealed = services.sealer.seal(data, _context(reference))
    with write_session(services.engine) as session:
        # Held: a decision that is just being taken waits, and finds the document changed.
        row = session.scalar(select(IssuingRightRow).where(IssuingRightRow.reference == reference).with_for_update())
        if row is None or row.organisation_id != by.organisation_id:
            raise NotFound
        if row.status != RightStatus.REQUESTED:
            raise Conflict("This request is decided already.", code="already_decided")
        session.merge(
            EvidenceDocumentRow(
                right_id=row.id,
                media_type=media_type,
                size=len(data),
                sealed=sealed,
                handed_in_by=by.actor,
                handed_in_at=now_ms(),
            )
        )
        row.evidence_sha256 = hashlib.sha256(data).hexdigest()
        session.flush()
        return records.right(row)


def read_evidence(session: Session, services: Services, *, reference: str) -> EvidenceDocument:
    """The document of a right, for the registry; raises NotFound when there is none."""
    found = session.execute(
        select(EvidenceDocumentRow)
        .join(IssuingRightRow, IssuingRightRow.id == EvidenceDocumentRow.right_id)
        .where(IssuingRightRow.reference == reference)
    ).scalar_one_or_none()
    if found is None:
        raise NotFound
    data = open_document(services.sealer, reference, found.sealed)
    return EvidenceDocument(reference, found.media_type, data, hashlib.sha256(data).hexdigest())


def open_document(sealer: Sealer, reference: str, sealed: bytes) -> bytes:
    """The bytes of a sealed document; raises SealError when they were changed or belong to another right."""
    return sealer.open(sealed, _context(reference))


def _context(reference: str) -> str:
    return f"evidence {reference}"
