"""State bundles checked offline: every event of a unit, a batch or an organisation, and that none is left out.

The subject under which the ledger keeps a unit's events is computed here, from the salt in the unit's own proof, and
that of the batch is read from the batch's statement, to which the unit's proof leads. So an answer about other goods is
refused, and one from which an event is missing can not be made (`ledger.map.state_proof`). A bundle about a batch or an
organisation alone has no unit to start from: it is recognised by its first entry, the registration of that name.

What is *not* said: entries recorded after the map was stated. The facts name the entries among which nothing is
omitted, and the time; whoever needs a newer answer asks again. Nor what entries say whose bodies were erased or are
withheld: that they are there is proved, and `not_shown` counts them.
"""

from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any

from ledger.errors import FormatError
from ledger.leaf import Body
from ledger.map.state_proof import State, StateEntry, StateProof, unit_subject, verify_state_proof
from ledger.note import parse_note
from ledger.proof import UnitProof
from ledger.statement import STATEMENT_TYPE, Statement, verify_statement
from scanners.proved import ProofRefused, Proved, witnessed
from scanners.trust import TrustList

STATE_FORMAT = "marchamo state bundle v1"
ORGANISATION_KEY = "org:"
"""Begins the ids of keys with which organisations sign; every other statement key is the registry's own."""
REGISTRY = "the registry"
"""Who decides on organisations and registers their keys: what its statements name is whom they are about."""

_MEMBERS: Mapping[str, type | tuple[type, ...]] = {
    "format": str,
    "about": str,
    "name": str,
    "unit": (dict, NoneType),
    "states": dict,
}
_STATES = {"unit": ("unit", "batch"), "batch": ("batch",), "organisation": ("organisation",)}
_FIRST = {"batch": "handle", "organisation": "organisation"}
"""Chains that begin with the registration of their subject, and the member of its statement that names it."""

CheckUnit = Callable[[Mapping[str, Any], TrustList], Proved]
"""Checks the proof bundle of the unit that a state bundle starts from."""


def check_state_bundle(bundle: Mapping[str, Any], trust: TrustList, check_unit: CheckUnit) -> Proved:
    """Check a state bundle. Raises ProofRefused, or the LedgerError of the part that does not hold."""
    if bundle.keys() != _MEMBERS.keys():
        raise FormatError(f"a state bundle has exactly the members {', '.join(_MEMBERS)}")
    if not all(isinstance(bundle[name], wanted) for name, wanted in _MEMBERS.items()):
        raise FormatError("a member of the state bundle has the wrong type")
    about, name, unit = bundle["about"], bundle["name"], bundle["unit"]
    if about not in _STATES or tuple(sorted(bundle["states"])) != tuple(sorted(_STATES[about])):
        raise FormatError("the state bundle is about nothing that is known here, or has not the states that it needs")
    if (unit is None) is (about == "unit"):
        raise FormatError("the state of a unit comes with the unit's proof, other states without one")
    proofs = {kind: StateProof.from_members(members) for kind, members in bundle["states"].items()}
    facts: dict[str, Any] = {"about": about, "name": name, "log": trust.log_keys.origin}
    if unit is None:
        # Nothing here says independently what the subject is: the first entry has to register this very name.
        subjects = {about: proofs[about].subject}
    else:
        proved = check_unit(unit, trust)
        if proved.facts["uri"] != name:
            raise ProofRefused("another_unit", "The bundle names another unit than the one it proves.")
        facts |= {"issuer": proved.facts["issuer"], "batch_log_index": proved.facts["log_index"]}
        proof = UnitProof.from_members(unit["unit_proof"])
        subjects = {"unit": unit_subject(proof.unit_salt), "batch": _batch_subject(proof)}
    states = {kind: _verify(proofs[kind], subject, trust) for kind, subject in subjects.items()}
    events = [_event(entry, kind, name, trust, facts) for kind, state in states.items() for entry in state.entries]
    for kind, state in states.items():
        if kind != "unit" and not state.entries:
            raise ProofRefused("nothing_recorded", f"The ledger has no entry about this {kind}.")
    hidden = sum(not event["shown"] for event in events)
    facts |= _completeness(states, proofs, trust)
    return Proved("state", facts | {"not_shown": hidden, "events": _in_order(events)})


def _batch_subject(proof: UnitProof) -> bytes:
    subjects = Body.from_bytes(proof.batch_entry.body).subjects
    if len(subjects) != 1:
        raise FormatError("the statement of a batch is about one subject, the batch")
    return subjects[0][0]


def _verify(proof: StateProof, subject: bytes, trust: TrustList) -> State:
    registry_keys = {name: key for name, key in trust.statement_keys.items() if not name.startswith(ORGANISATION_KEY)}
    return verify_state_proof(proof, subject=subject, log_verifier=trust.log_keys, map_keys=registry_keys)


def _completeness(states: Mapping[str, State], proofs: Mapping[str, StateProof], trust: TrustList) -> dict[str, Any]:
    """Say among which entries nothing is omitted: of several states, what holds for all of them."""
    oldest = min(states.values(), key=lambda state: state.as_of_size)
    newest = max(state.checkpoint.size for state in states.values())
    notes = [parse_note(proof.checkpoint_note) for proof in proofs.values()]
    return {
        "as_of_size": oldest.as_of_size,
        "as_of_time": oldest.as_of_time,
        "complete": _complete(oldest),
        "log_size": newest,
        "not_covered": newest - oldest.as_of_size,
        "witnessed": witnessed(trust.witness_policy, min(notes, key=lambda note: len(note.signatures))),
    }


def _complete(state: State) -> str:
    if state.as_of_size == 0:
        return f"nothing is said of any entry, time {state.as_of_time}"
    return f"nothing is omitted among entries 0 to {state.as_of_size - 1}, time {state.as_of_time}"


def _event(entry: StateEntry, about: str, name: str, trust: TrustList, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Describe one entry after checking who stated it, and that it is about what it was asked for."""
    statement = None if entry.body is None else _statement(entry.body, trust)
    if entry.number == 0 and about in _FIRST:
        _require_first(entry, about, name, statement, facts)
    described: dict[str, Any] = {
        "index": entry.index,
        "of": about,
        "covered": not entry.beyond,
        "shown": statement is not None,
    }
    if statement is None:
        return described | {"what": "erased or withheld: that it was recorded is proved, what it says is not shown"}
    payload, event = statement.payload, statement.payload.get("event")
    if about == "unit" and (not isinstance(event, dict) or name not in _named(event)):
        raise ProofRefused("another_unit", f"Entry {entry.index} is no event of this unit.")
    if about == "organisation" and (
        payload.get("organisation") != name or statement.key_id.startswith(ORGANISATION_KEY)
    ):
        raise ProofRefused("another_organisation", f"Entry {entry.index} was not stated by the registry about {name}.")
    by = REGISTRY if about == "organisation" else payload.get("organisation")
    return described | {"what": _what(payload), "time": _time(payload), "by": by}


def _statement(body: Body, trust: TrustList) -> Statement:
    key = trust.statement_keys.get(body.key_id)
    if key is None:
        raise ProofRefused("statement_key_unknown", f"The key {body.key_id} is not in the trust list.")
    statement = verify_statement(body.statement, public_key=key, typ=STATEMENT_TYPE)
    if statement.key_id != body.key_id or statement.payload.get("kind") != body.kind:
        raise ProofRefused("another_statement", "An entry and the statement in it name different keys or kinds.")
    return statement


def _require_first(
    entry: StateEntry, about: str, name: str, statement: Statement | None, facts: Mapping[str, Any]
) -> None:
    """Refuse a chain whose first entry is not the registration of what was asked for."""
    if facts["about"] == "unit":
        if entry.index != facts["batch_log_index"]:
            raise ProofRefused("another_batch", "The unit was registered with another batch.")
    elif statement is None:
        raise ProofRefused("registration_erased", f"The registration of this {about} was erased: nothing names it.")
    elif statement.payload.get("kind") != about or statement.payload.get(_FIRST[about]) != name:
        raise ProofRefused(f"another_{about}", f"The first entry is not the registration of the {about} {name}.")


def _named(event: Mapping[str, Any]) -> list[Any]:
    named = event.get("epcList")
    return named if isinstance(named, list) else []


def _what(payload: Mapping[str, Any]) -> str:
    kind, event = payload.get("kind"), payload.get("event")
    if kind == "batch":
        return "commissioned"
    if kind == "key":
        return f"key {payload.get('key_id')} {payload.get('action')}"
    if kind == "event" and isinstance(event, dict):
        said = f"{_word(event.get('disposition'))} ({_word(event.get('bizStep'))})"
        return f"taken back: {said}" if "errorDeclaration" in event else said
    return f"{kind} {payload.get('status', '')}".rstrip()


def _word(value: object) -> str:
    """Shorten a word of a vocabulary: its last part, without the prefix that says which vocabulary."""
    return str(value).rpartition("/")[2].removeprefix("BizStep-").removeprefix("Disp-")


def _time(payload: Mapping[str, Any]) -> Any:
    event = payload.get("event")
    happened = event.get("eventTime") if isinstance(event, dict) else None
    return happened or payload.get("time")


def _in_order(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(events, key=lambda event: event["index"])
