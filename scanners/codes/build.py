"""The text of a code that we print."""

from __future__ import annotations

import re
from collections.abc import Iterable

from scanners.codes.ai import (
    MAXIMUM_LENGTH,
    check_associations,
    check_exclusions,
    check_values,
    dictionary,
    is_valid_path_sequence,
)
from scanners.codes.digital_link import escape_path, escape_query, split_uri
from scanners.codes.errors import CodeError
from scanners.codes.identity import CodeIdentity, CodeKind
from scanners.codes.signature import SIGNATURE_KEY, all_elements, decode_signature

_STEM = re.compile(r"https?://[^/?#]+(?:/[A-Za-z0-9._~/-]*[A-Za-z0-9._~-])?", re.IGNORECASE)


def code_text(
    identity: CodeIdentity, elements: Iterable[tuple[str, str]] = (), *, stem: str, signature: str | None = None
) -> str:
    """Return the text to print.

    `elements` are further AIs (10 lot, 17 expiry ...), with or without the identity's own. `stem` is the registry's
    address ("https://id.example.org"); its scheme and host are written in upper case, which a QR code packs better.
    Query order is fixed: AIs ascending, then `S`. AI 8030 is never minted: what we sign is not an ISO/IEC 20248
    DigSig. Raises CodeError ("stem", "not_minted", "attribute", "too_long" and the codes of values).
    """
    if not _STEM.fullmatch(stem):
        raise CodeError("stem", "The registry's address must look like https://id.example.org, without query.")
    merged = all_elements(identity, elements)
    if any(ai == "8030" for ai, _ in merged):
        raise CodeError("not_minted", "AI (8030) is for an ISO/IEC 20248 DigSig, which this registry does not issue.")
    check_values(merged, deep=True)
    if identity.kind is CodeKind.ITEM:
        path, attributes = f"/i/{identity.identifier}/{escape_path(identity.serial)}", merged
        check_exclusions(merged)
    else:
        path, attributes = _gs1_path(merged)
        check_associations(merged)
    for ai, _ in attributes:
        entry = dictionary()[ai]
        if not entry.data_attribute or (entry.qualifiers is not None and identity.kind is CodeKind.ITEM):
            raise CodeError("attribute", f"AI ({ai}) can not stand in the query of this code.")
    parameters = [f"{ai}={escape_query(value)}" for ai, value in attributes]
    if signature is not None:
        decode_signature(signature)
        parameters.append(f"{SIGNATURE_KEY}={signature}")
    text = _upper_stem(stem) + path + ("?" + "&".join(parameters) if parameters else "")
    if len(text) > MAXIMUM_LENGTH:
        raise CodeError("too_long", f"A code has at most {MAXIMUM_LENGTH} characters.")
    return text


def _gs1_path(elements: tuple[tuple[str, str], ...]) -> tuple[str, tuple[tuple[str, str], ...]]:
    values = dict(elements)
    order = [ai for ai in ("00", "01", "22", "10", "21", "235") if ai in values]
    path = [order[0]]
    for ai in order[1:]:
        if is_valid_path_sequence([*path, ai]):
            path.append(ai)
    if any(values[ai] in {".", ".."} for ai in path):
        raise CodeError("dots", "A value can not be “.” or “..”: web software drops them from a path.")
    text = "".join(f"/{ai}/{escape_path(values[ai])}" for ai in path)
    return text, tuple((ai, value) for ai, value in elements if ai not in path)


def _upper_stem(stem: str) -> str:
    """Write scheme and host in upper case; a path of the stem is case-sensitive and stays."""
    split_uri(stem + "/")
    scheme, _, rest = stem.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.upper()}://{host.upper()}{slash}{path}"
