"""Values inside JSON that marshmallow has no field for."""

from app.core.errors import Invalid
from ledger.errors import FormatError
from ledger.strict import decode_base64


def given_bytes(text: str, *, size: int) -> bytes:
    """So many bytes from a base64 text, of which only the canonical spelling is accepted; raises Invalid."""
    try:
        return decode_base64(text, size=size)
    except FormatError as error:
        raise Invalid("This is not base64: %(reason)s.", code="base64", reason=error.message) from error
