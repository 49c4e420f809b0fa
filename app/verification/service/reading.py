"""From text to a code whose signature was checked, before any unit is looked up."""

import hashlib
from dataclasses import dataclass

from app.accounts import service as accounts
from app.core.services import Services
from app.verification.authenticity import SignatureCheck, check_signature
from app.verification.parts import parts
from scanners.codes.identity import CodeIdentity
from scanners.codes.reader import ReadCode, read_code


@dataclass(frozen=True, slots=True)
class Reading:
    """A text that was read, the key that its signature names, what came of the signature, and the code's digest."""

    code: ReadCode
    key: accounts.PublicCodeKey | None
    check: SignatureCheck
    digest: bytes

    @property
    def identity(self) -> CodeIdentity | None:
        """What is to be looked up; nothing for a code of another host, whatever number it names."""
        return None if self.check is SignatureCheck.FOREIGN else self.code.identity


def read_text(services: Services, text: str) -> Reading:
    """Read a text with the one parser and check its signature; raises CodeError."""
    code = read_code(text, trusted_hosts=parts(services).hosts)
    key = None
    if code.signature is not None and code.trusted:
        key = accounts.public_code_key(services.engine, code.signature.key_id)
    return Reading(code, key, check_signature(code, key), hashlib.sha256(code.canonical.encode()).digest())
