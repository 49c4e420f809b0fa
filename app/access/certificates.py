"""Machines that show a TLS client certificate to the proxy, which hands it on in a header (RFC 9440).

The proxy has seen the machine prove that it holds the key; who it is, is decided here by the certificate's SHA-256
thumbprint, which the organisation registered (RFC 8705 section 2.2). The names in it, and who issued it, say nothing.
"""

import hashlib
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.access.machine_models import ClientCertificateRow
from app.access.principals import machine_principal, refusal, scopes_of_words
from app.core.authorisation import Principal, Role
from app.core.clock import from_datetime, now_ms
from app.core.errors import Invalid
from ledger.errors import FormatError
from ledger.strict import decode_base64

MAX_HEADER = 16 * 1024
MAX_PEM = 16 * 1024
NO_CERTIFICATE = ("", "::")
"""What a proxy sends that always sets the header, when the machine has shown no certificate."""
_BEGIN = "-----BEGIN CERTIFICATE-----"
_END = "-----END CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is needed of a certificate. not_before, not_after: milliseconds."""

    thumbprint: bytes
    not_before: int
    not_after: int


def certificate_digest(header: str) -> bytes:
    """The name under which a header's certificate is remembered; no token has the same, which has another form."""
    return hashlib.sha256(header.encode("utf-8", "surrogateescape")).digest()


def read_header(header: str) -> Certificate:
    """Read the header `Client-Cert` of RFC 9440: the DER form as a byte sequence of RFC 8941, ``:base64:``.

    Raises FormatError for anything beside it: parameters, a second value, another spelling, bytes after the end.
    """
    if len(header) > MAX_HEADER:
        raise FormatError(f"a certificate has at most {MAX_HEADER} characters")
    if len(header) < 3 or header[0] != ":" or header[-1] != ":":
        raise FormatError("a certificate is base64 between colons")
    return _read_der(decode_base64(header[1:-1]))


def read_registration(text: str) -> tuple[bytes, Certificate | None]:
    """The thumbprint that an organisation hands in: of one certificate as PEM, or 64 hexadecimal digits by themselves.

    With a PEM the certificate is given too. Raises Invalid.
    """
    text = text.strip()
    digits = text.replace(":", "").lower()
    if len(digits) == 64 and all(digit in "0123456789abcdef" for digit in digits):
        return bytes.fromhex(digits), None
    if len(text) > MAX_PEM or not text.startswith(_BEGIN) or not text.endswith(_END) or text.count("-----BEGIN") != 1:
        raise _unreadable()
    try:
        certificate = _read_der(decode_base64("".join(text[len(_BEGIN) : -len(_END)].split())))
    except FormatError:
        raise _unreadable() from None
    return certificate.thumbprint, certificate


def principal_of_certificate(database: Session, header: str) -> Principal:
    """The machine behind a certificate; raises NotSignedIn when it is unreadable, unknown, revoked or out of date."""
    try:
        certificate = read_header(header)
    except FormatError:
        raise refusal() from None
    row = database.scalar(select(ClientCertificateRow).where(ClientCertificateRow.thumbprint == certificate.thumbprint))
    now = now_ms()
    if row is None or row.revoked_at is not None or row.expires_at <= now:
        raise refusal()
    if not certificate.not_before <= now <= certificate.not_after:
        raise refusal()
    return machine_principal(
        database,
        organisation_id=row.organisation_id,
        role=Role(row.role),
        scopes=scopes_of_words(row.scopes),
        machine=f"certificate:{row.id}",
        name=row.name,
    )


def _read_der(der: bytes) -> Certificate:
    try:
        certificate = x509.load_der_x509_certificate(der)
        # A reader that stops at the end of the certificate would give one certificate many thumbprints.
        if certificate.public_bytes(Encoding.DER) != der:
            raise FormatError("bytes after the certificate, or another encoding than DER")
        return Certificate(
            hashlib.sha256(der).digest(),
            from_datetime(certificate.not_valid_before_utc),
            from_datetime(certificate.not_valid_after_utc),
        )
    except (ValueError, OverflowError, x509.InvalidVersion):
        raise FormatError("this is not an X.509 certificate") from None


def _unreadable() -> Invalid:
    return Invalid(
        "Give one certificate as PEM text, or its SHA-256 thumbprint as 64 hexadecimal digits.",
        code="certificate_unreadable",
    )
