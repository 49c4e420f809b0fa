"""docs/formats.md is enough to write a second implementation: its example and its tables are those of the code."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import fields
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.keys.entries import rotation
from ledger.keys.log_keys import SUCCESSION_HEADER, sign_succession
from ledger.keys.trust_root import TrustRoot
from ledger.note import NoteSigner
from ledger.statement import read_unverified
from scanners.codes.reader import read_code
from scanners.proofs import _BUNDLE_MEMBERS
from scanners.signed_scans import ENROLMENT_TYPE, LEASE_TYPE, SCAN_TYPE, ScanPlace, ScanStatement
from scanners.trust import FORMAT, CodeKey, TrustList
from tests.trust_builders import LogOwner

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text("utf-8")


def members_of(section: str) -> set[str]:
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    cells = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| `")]
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_the_worked_code_reads_as_the_page_says() -> None:
    found = re.search(r"\n```\n([0-9a-f]{60,})\n(HTTPS://\S+)\n```\n", PAGE)
    assert found is not None
    code = read_code(found[2], trusted_hosts=["id.example.org"])
    assert code.signature is not None
    assert code.message(7).hex() == found[1]
    assert code.signature.key_id == 7
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    assert code.signature.signature == key.sign(bytes.fromhex(found[1]))


def test_the_code_can_be_written_from_the_page_alone() -> None:
    """The page's words in a few lines that import nothing of ours."""
    values = {"01": "09521234567899", "21": "7K2QX0123456789AB", "10": "L7", "17": "271231"}
    signed = b"marchamo code v1\n" + (7).to_bytes(4, "big")
    for name, value in sorted(values.items()):
        signed += bytes([len(name)]) + name.encode() + len(value).to_bytes(2, "big") + value.encode()
    assert signed.hex() in PAGE
    signature = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).sign(signed)
    number = int.from_bytes(b"\x01" + (7).to_bytes(4, "big") + signature, "big")
    address = "HTTPS://ID.EXAMPLE.ORG/01/09521234567899/10/L7/21/7K2QX0123456789AB?17=271231"
    text = f"{address}&S={number:0167d}"
    assert text in PAGE
    canonical = text.replace("HTTPS://ID.EXAMPLE.ORG", "https://id.example.org")
    read = read_code(text, trusted_hosts=["id.example.org"])
    assert sha256(read.canonical.encode()).digest() == sha256(canonical.encode()).digest()


def test_the_table_of_the_bundle_has_every_member() -> None:
    assert members_of("Proof bundle") >= set(_BUNDLE_MEMBERS)


def test_the_table_of_the_trust_list_has_every_member() -> None:
    named = members_of("Trust list")
    assert {"format", "code_keys"} <= named
    assert named >= {field.name for field in fields(TrustList)} - {"root"}
    assert named >= {field.name for field in fields(TrustRoot)} - {"keys", "digest"}
    assert named >= set(LogOwner().members())
    assert all(f"`{field.name}`" in PAGE for field in fields(CodeKey))
    assert f"`{FORMAT}`" in PAGE


def test_the_signed_text_of_a_trust_list_can_be_written_from_the_page_alone() -> None:
    """The page's words in a few lines: canonical JSON, six lines, one signature a current key."""
    owner = LogOwner()
    owner.rotate()
    document = json.loads(owner.text(registry="Registro Público"))
    note = document.pop("signature")
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
    lines = [document["format"], "registry.example/log", document["version"], document["as_of"], document["expires_at"]]
    signed, signatures = note.split("\n\n")
    assert signed.split("\n") == [*map(str, lines), base64.b64encode(sha256(text).digest()).decode()]
    assert signatures.count("\n") == 2


def test_the_page_names_every_member_of_an_entry_about_the_logs_keys() -> None:
    old, new = NoteSigner.generate("x/log"), NoteSigner.generate("x/log")
    made = rotation(old.verifier, new.verifier, sign_succession(old, new))
    assert members_of("Keys of the log") >= {*made, "v", "kind", "time"}
    assert f"\n{SUCCESSION_HEADER}\n" in PAGE


def test_the_page_names_every_member_of_a_signed_scan() -> None:
    scan = ScanStatement(code="c", action="check", scanned_at=1, key="k", seq=1, place=ScanPlace(1, 2, 3, "gps"))
    said = read_unverified(scan.sign(Ed25519PrivateKey.generate(), "0123456789ab"))
    assert members_of("Signed scans") >= set(said.payload)
    assert all(f"`{name}`" in PAGE for name in said.payload["place"])
    assert all(f"`{typ}`" in PAGE for typ in (SCAN_TYPE, LEASE_TYPE, ENROLMENT_TYPE))
