"""What a unit's code says, and the bytes that are signed and hashed into the batch tree."""

from app.registry.vocabulary import Profile
from scanners.codes.identity import CodeKind
from scanners.codes.unit_contents import UnitContents

__all__ = ["UnitContents", "batch_elements"]


def batch_elements(
    kind: CodeKind, profile: Profile, lot: str | None, expiry: str | None
) -> tuple[tuple[str, str], ...]:
    """The application identifiers, beside the identity, that every code of a batch carries.

    Signed codes of a GTIN carry lot and expiry; of an item without GTIN the expiry alone, since AI 10 qualifies a
    GTIN only. Compact codes carry neither, to stay small (the registry knows them), cases have none.
    """
    if profile is not Profile.SIGNED:
        return ()
    elements = []
    if lot is not None and kind is CodeKind.GTIN:
        elements.append(("10", lot))
    if expiry is not None:
        elements.append(("17", expiry))
    return tuple(elements)
