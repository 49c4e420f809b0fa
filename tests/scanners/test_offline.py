"""Verdicts without a connection: what the signature alone can say, and never more."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanners.codes.errors import CodeError
from scanners.codes.signature import load_public_key
from scanners.offline import OfflineAuthenticity, OfflineVerdict, judge
from scanners.trust import CodeKey, TrustList
from tests.trust_builders import DAY, NOW, LogOwner
from tests.vectors import make_codes

VECTORS: list[dict[str, Any]] = json.loads(Path(make_codes.TARGET).read_text(encoding="utf-8"))["vectors"]
OWNER = LogOwner()
SIGNED = next(vector for vector in VECTORS if vector["class"] == "signed")


def trust_of(
    hosts: list[str], keys: dict[str, str], *, revoked_index: int | None = None, suspended: bool = False
) -> TrustList:
    """A trust list with these code keys, hexadecimal by key id."""
    code_keys = {}
    for name, raw in keys.items():
        try:
            public_key = load_public_key(bytes.fromhex(raw))
        except CodeError:
            continue  # a vector about a key that no trust list takes
        code_keys[int(name)] = CodeKey(
            int(name), "ACME5", public_key, 2**50, 1, revoked_index, revoked_index, suspended
        )
    return replace(OWNER.trust(), hosts=frozenset(hosts), code_keys=code_keys)


def judged(vector: dict[str, Any], **more: Any) -> OfflineVerdict:
    return judge(vector["input"], trust_of(vector["trusted_hosts"], vector["keys"], **more), now=NOW)


def expected(expect: dict[str, Any]) -> tuple[OfflineAuthenticity, str, str]:
    """The offline verdict that follows from what every reader must find: authenticity, summary, reason."""
    if "error" in expect:
        return OfflineAuthenticity.UNREADABLE, "STOP", expect["error"]
    if expect["host"] is not None and not expect["trusted"]:
        return OfflineAuthenticity.FOREIGN_HOST, "CHECK", "not_a_registry_code"
    if expect["identity"] is None or expect["signature"] == "missing":
        return OfflineAuthenticity.NOT_CHECKED, "CHECK", "signature_absent"
    return {
        "unknown_key": (OfflineAuthenticity.NOT_CHECKED, "CHECK", "signature_key_unknown"),
        "valid": (OfflineAuthenticity.SIGNATURE_VALID_NOT_CONFIRMED, "CHECK", "signature_valid"),
        "invalid": (OfflineAuthenticity.INVALID_SIGNATURE, "STOP", "signature_does_not_fit"),
    }[expect["signature"]]


@pytest.mark.parametrize("name", sorted({vector["class"] for vector in VECTORS}))
def test_every_vector_of_a_class_gets_the_offline_verdict_that_follows_from_it(name: str) -> None:
    for vector in VECTORS:
        if vector["class"] == name:
            verdict = judged(vector)
            assert (verdict.authenticity, verdict.summary, verdict.reason) == expected(vector["expect"]), vector[
                "input"
            ]


def test_the_vectors_reach_every_offline_verdict_but_the_revoked_key() -> None:
    reached = {expected(vector["expect"])[0] for vector in VECTORS}
    assert reached == set(OfflineAuthenticity) - {OfflineAuthenticity.KEY_REVOKED}


def test_a_valid_signature_names_unit_and_issuer_and_says_what_was_not_checked() -> None:
    verdict = judged(SIGNED)
    identity = SIGNED["expect"]["identity"]
    assert verdict.identity == f"https://id.gs1.org/01/{identity['identifier']}/21/{identity['serial']}"
    assert verdict.issuer == "ACME5"
    assert "not checked" in verdict.sentence


def test_a_key_that_was_revoked_later_asks_for_the_registry() -> None:
    verdict = judged(SIGNED, revoked_index=12)
    assert (verdict.authenticity, verdict.summary) == (OfflineAuthenticity.KEY_REVOKED, "CHECK")


def test_a_code_of_a_suspended_firm_is_not_passed_on_as_if_nothing_were() -> None:
    verdict = judged(SIGNED, suspended=True)
    assert (verdict.summary, verdict.reason) == ("CHECK", "issuer_suspended")
    assert "suspended" in verdict.sentence
    forged = next(vector for vector in VECTORS if vector["expect"].get("signature") == "invalid")
    assert judged(forged, suspended=True).authenticity is OfflineAuthenticity.INVALID_SIGNATURE


def test_a_forgery_under_a_revoked_key_is_a_forgery_first() -> None:
    forged = next(vector for vector in VECTORS if vector["expect"].get("signature") == "invalid")
    assert judged(forged, revoked_index=12).authenticity is OfflineAuthenticity.INVALID_SIGNATURE


def test_nothing_is_ever_passed_without_a_connection() -> None:
    assert "PASS" not in {judged(vector).summary for vector in VECTORS}


def test_a_code_of_a_host_that_left_the_trust_list_is_foreign_even_when_its_key_stayed() -> None:
    trust = replace(trust_of(SIGNED["trusted_hosts"], SIGNED["keys"]), hosts=frozenset({"other.example"}))
    assert judge(SIGNED["input"], trust, now=NOW).authenticity is OfflineAuthenticity.FOREIGN_HOST


def test_a_list_out_of_its_time_lets_nothing_pass_and_stops_what_it_stopped() -> None:
    for days, reason in ((90, "trust_list_expired"), (4_000, "trust_list_expired"), (-2, "trust_list_clock_behind")):
        for vector in VECTORS:
            trust, before = trust_of(vector["trusted_hosts"], vector["keys"]), judged(vector)
            after = judge(vector["input"], trust, now=NOW + days * DAY)
            if before.summary == "STOP":
                assert after == before
            else:
                assert (after.authenticity, after.summary, after.reason) == (
                    OfflineAuthenticity.NOT_CHECKED,
                    "CHECK",
                    reason,
                )
                expired = reason == "trust_list_expired"
                assert ("marchamo trust SERVER --previous" in after.sentence) is expired
                assert ("set the clock" in after.sentence) is not expired


TRUST = trust_of(SIGNED["trusted_hosts"], SIGNED["keys"])


@settings(deadline=None)
@given(st.text() | st.text(alphabet="HTPS:/IDMARCO.EXL012?=&%\x1d()]", max_size=200))
def test_no_text_makes_the_judge_raise_or_pass(text: str) -> None:
    assert judge(text, TRUST, now=NOW).summary in {"CHECK", "STOP"}


@settings(deadline=None)
@given(st.data())
def test_no_change_of_a_signed_code_keeps_a_valid_signature_on_another_identity(data: st.DataObject) -> None:
    text = SIGNED["input"]
    at = data.draw(st.integers(0, len(text) - 1))
    verdict = judge(text[:at] + data.draw(st.characters(max_codepoint=0x17F)) + text[at + 1 :], TRUST, now=NOW)
    if verdict.authenticity is OfflineAuthenticity.SIGNATURE_VALID_NOT_CONFIRMED:
        assert verdict.identity == judged(SIGNED).identity
