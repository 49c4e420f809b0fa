"""The text that we print."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from scanners.codes.build import code_text
from scanners.codes.errors import CodeError
from scanners.codes.identity import CodeIdentity, CodeKind
from scanners.codes.signature import sign_code

UNIT = CodeIdentity(CodeKind.GTIN, "09521234543213", "ABCDE0123456789AB")
ITEM = CodeIdentity(CodeKind.ITEM, "ACME5/W-1", "ABCDE0123456789AB")
CASE = CodeIdentity(CodeKind.CASE, "", "095212345000000018")
STEM = "https://id.example.org"
S = sign_code(Ed25519PrivateKey.from_private_bytes(bytes(32)), UNIT, [], 7)


def test_a_signed_unit_is_printed_in_upper_case_with_the_signature_last() -> None:
    text = code_text(UNIT, [("17", "271231"), ("10", "L7")], stem=STEM, signature=S)
    assert text == f"HTTPS://ID.EXAMPLE.ORG/01/09521234543213/10/L7/21/ABCDE0123456789AB?17=271231&S={S}"


def test_the_identity_s_own_elements_may_be_among_the_others() -> None:
    assert code_text(UNIT, UNIT.elements(), stem=STEM) == code_text(UNIT, stem=STEM)


def test_the_compact_form_has_no_query() -> None:
    assert code_text(UNIT, stem=STEM) == "HTTPS://ID.EXAMPLE.ORG/01/09521234543213/21/ABCDE0123456789AB"


def test_items_and_cases_have_their_own_paths() -> None:
    assert code_text(ITEM, [("10", "L7")], stem=STEM) == "HTTPS://ID.EXAMPLE.ORG/i/ACME5/W-1/ABCDE0123456789AB?10=L7"
    assert code_text(CASE, stem=STEM) == "HTTPS://ID.EXAMPLE.ORG/00/095212345000000018"


def test_a_path_of_the_stem_keeps_its_case() -> None:
    assert code_text(CASE, stem="http://localhost:8000/Codes") == "HTTP://LOCALHOST:8000/Codes/00/095212345000000018"


def test_values_are_percent_encoded() -> None:
    identity = CodeIdentity(CodeKind.GTIN, "09521234543213", "A/B?")
    assert code_text(identity, [("99", "x+y")], stem=STEM).endswith("/21/A%2FB%3F?99=x%2By")


@pytest.mark.parametrize(
    ("identity", "elements", "stem", "code"),
    [
        (UNIT, [("8030", "abc")], STEM, "not_minted"),
        (UNIT, [("21", "OTHER")], STEM, "contradiction"),
        (UNIT, [("8200", "x")], STEM, "attribute"),
        (UNIT, [("235", "x")], STEM, "excluded_ai"),
        (UNIT, [("10", "..")], STEM, "dots"),
        (UNIT, [("17", "271331")], STEM, "illegal_month"),
        (UNIT, [("37", "5")], STEM, "excluded_ai"),
        (ITEM, [("01", "09521234543213")], STEM, "attribute"),
        (ITEM, [("21", "A")], STEM, "attribute"),
        (ITEM, [("3100", "000001"), ("3101", "000001")], STEM, "excluded_ai"),
        (UNIT, [], "id.example.org", "stem"),
        (UNIT, [], "https://id.example.org/", "stem"),
        (UNIT, [], "https://id.example.org?x=1", "stem"),
        (UNIT, [], "https://user@id.example.org", "host"),
        (UNIT, [], "https://ID.example.org", None),
        (UNIT, [], "https://a/" + "x" * 2048, "too_long"),
    ],
)
def test_what_must_not_be_printed_is_refused(
    identity: CodeIdentity, elements: list[tuple[str, str]], stem: str, code: str | None
) -> None:
    if code is None:
        assert code_text(identity, elements, stem=stem)
        return
    with pytest.raises(CodeError) as caught:
        code_text(identity, elements, stem=stem)
    assert caught.value.code == code


def test_only_a_well_formed_signature_is_printed() -> None:
    for wrong in ("", "1" * 167, S + "0"):
        with pytest.raises(CodeError):
            code_text(UNIT, stem=STEM, signature=wrong)
