"""What the check of a document gives: what was established, or why it proves nothing."""

from dataclasses import dataclass
from typing import Any

from ledger.note import Note
from ledger.witnessing.policy import Policy


class ProofRefused(Exception):
    """A document that proves nothing; `code` is stable, the message says what does not hold."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class NotJudged(ProofRefused):
    """Nothing was found out about the document: what is needed to judge it is missing, or it is for another command."""


@dataclass(frozen=True, slots=True)
class Proved:
    """What was established, as lines for a person and as facts for a program."""

    kind: str
    facts: dict[str, Any]


def witnessed(policy: Policy | None, note: Note) -> str:
    """Say how many witnesses have cosigned. A broken cosignature raises NoteError: the note is refused as a whole."""
    if policy is None or not policy.witnesses:
        return "no witnesses are known: signed by the log only"
    found = policy.count(note)
    return (
        f"witnessed {found.k} of {found.n}, {'enough' if found.quorum_met else 'not enough'} for the registry's policy"
    )
