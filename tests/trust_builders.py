"""Trust lists for tests, signed as a registry signs them, with keys of the log that the test holds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ledger.keys.log_keys import LogKeys, sign_succession
from ledger.keys.trust_root import HEADER, document_digest, keys_to_members
from ledger.note import NoteSigner, sign_note
from ledger.strict import encode_base64
from scanners.trust import TrustList

NOW = 1_795_000_000_000
DAY = 86_400_000
NAME = "registry.example/log"


class LogOwner:
    """Who holds the log's keys, changes them, and signs trust lists. The log grows with each change."""

    def __init__(self, name: str = NAME) -> None:
        self.signers = [NoteSigner.generate(name)]
        self.keys = LogKeys.of(self.signers[0].verifier)
        self.size = 10

    def rotate(self) -> None:
        self.signers.append(NoteSigner.generate(self.keys.origin))
        self.keys = self.keys.rotated(sign_succession(*self.signers[-2:]), self.size)
        self.size += 10

    def retire(self) -> None:
        self.keys = self.keys.retired(self.keys.current[0].verifier, self.size)
        self.size += 10

    @property
    def current(self) -> list[NoteSigner]:
        return self.signers[-len(self.keys.current) :]

    def members(self, *, at: int = NOW, days: int = 90, **more: Any) -> dict[str, Any]:
        """The members of a list, made at this time and not yet signed."""
        return {
            "format": HEADER,
            "version": self.size,
            "as_of": at,
            "expires_at": at + days * DAY,
            "registry": "Marchamo",
            "hosts": ["id.marchamo.example"],
            "log_keys": keys_to_members(self.keys),
            "witness_policy": None,
            "code_keys": [],
            "statement_keys": {},
            "receipt_keys": {},
            **more,
        }

    def text(self, **more: Any) -> bytes:
        """A list signed by the current keys."""
        return signed(self.members(**more), self.current)

    def trust(self, **more: Any) -> TrustList:
        """The same, read."""
        return TrustList.from_json(self.text(**more))


def signed(members: Mapping[str, Any], signers: Sequence[NoteSigner]) -> bytes:
    """Sign these members as they are, also those that no registry would give."""
    numbers = "".join(f"{members.get(name)}\n" for name in ("version", "as_of", "expires_at"))
    text = f"{HEADER}\n{signers[0].name}\n{numbers}{encode_base64(document_digest(members))}\n"
    return json.dumps({**members, "signature": sign_note(text, signers)}).encode()
