"""Printed addresses: back from a decoded path; and the short cut of the request schema."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from app.verification.links import printed_text
from app.verification.schemas import VerifySchema, simple_verify
from scanners.codes.build import code_text
from scanners.codes.errors import CodeError
from scanners.codes.identity import CodeIdentity, CodeKind
from scanners.codes.reader import read_code

SERIAL = "!\"%&'()*+,-./0123456789:;<=>?ABCXYZ_abcxyz"
HOST = "HTTPS://ID.TEST"


@given(st.sampled_from([CodeKind.GTIN, CodeKind.ITEM]), st.text(SERIAL, min_size=1, max_size=20))
def test_every_serial_survives_a_server_that_decodes_paths(kind: CodeKind, serial: str) -> None:
    identifier = "09521234000013" if kind is CodeKind.GTIN else "ABC123/TEQ-700"
    try:
        identity = CodeIdentity(kind, identifier, serial)
    except CodeError:
        return
    text = code_text(identity, (), stem=HOST)
    parts = urlsplit(text)
    back = printed_text(HOST, unquote(parts.path), parts.query)
    assert read_code(back, trusted_hosts={"id.test"}).identity == identity


def test_the_pages_own_parameter_is_no_part_of_the_code() -> None:
    path = "/01/09521234000013/21/A"
    for query in ("S=1&lang=es", "lang=es&S=1", "S=1"):
        assert printed_text(HOST, path, query) == f"https://id.test{path}?S=1"
    assert printed_text(HOST, path, "lang=es") == f"https://id.test{path}"


def test_a_lot_in_the_path_is_kept() -> None:
    text = printed_text(HOST, "/01/09521234000013/10/L 1/21/A/B", "")
    assert text == "https://id.test/01/09521234000013/10/L%201/21/A%2FB"


members = st.dictionaries(
    st.sampled_from(["code", "device", "key", "nonce", "action", "offline", "note", "surprise"]),
    st.text(st.characters(max_codepoint=300), max_size=70) | st.booleans() | st.integers() | st.none(),
)


@given(members)
def test_the_short_cut_loads_what_the_schema_would(body: dict[str, Any]) -> None:
    known = simple_verify(body)
    try:
        loaded = VerifySchema().load(body)
    except ValidationError:
        loaded = None
    assert known is None or known == loaded
