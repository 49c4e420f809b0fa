"""The trust root: no list follows another unless a key that was trusted says so, and none goes back in time."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import LedgerError, TrustRootError
from ledger.keys.log_keys import LogKeys, sign_succession
from ledger.keys.trust_root import (
    CLOCK_TOLERANCE_MS,
    MAX_LIFETIME_MS,
    TrustRoot,
    TrustState,
    document_digest,
    keys_from_members,
    keys_to_members,
)
from ledger.note import NoteSigner
from tests.trust_builders import DAY, NAME, NOW, LogOwner

OWNER = LogOwner()


def root_of(owner: LogOwner, **more: Any) -> tuple[TrustRoot, str]:
    """A root, and the note over it by the owner's current keys."""
    root = TrustRoot.of(owner.members(**more), owner.keys)
    return root, root.sign(owner.current)


def test_the_keys_of_the_log_travel_as_members() -> None:
    owner = LogOwner()
    owner.rotate()
    owner.retire()
    owner.rotate()
    members = json.loads(json.dumps(keys_to_members(owner.keys)))
    assert keys_from_members(members) == owner.keys


@pytest.mark.parametrize(
    "change",
    [
        {"key": None}, {"key": "x"}, {"first_size": True}, {"first_size": None}, {"first_size": -1}, {"last_size": "9"},
        {"last_size": False}, {"succession": 7}, {"succession": None}, {"succession": ""}, {"first_size": 2**70},
        {"further": 1},
    ],
)  # fmt: skip
def test_a_key_that_is_malformed_or_follows_no_other_is_refused(change: dict[str, Any]) -> None:
    owner = LogOwner()
    owner.rotate()
    first, second = keys_to_members(owner.keys)
    with pytest.raises(LedgerError):
        keys_from_members([first, second | change])


def test_a_key_with_the_succession_of_another_pair_is_refused() -> None:
    owner, other = LogOwner(), LogOwner()
    owner.rotate()
    first, second = keys_to_members(owner.keys)
    forged = sign_succession(other.signers[0], NoteSigner.generate(NAME))
    with pytest.raises(LedgerError):
        keys_from_members([first, second | {"succession": forged}])
    with pytest.raises(LedgerError):
        keys_from_members([first, {**second, "key": other.signers[0].verifier.to_text()}])
    malformed: Any
    for malformed in (None, {}, "x", [None], [[]], [first, first]):
        with pytest.raises(LedgerError):
            keys_from_members(malformed)


def test_the_digest_is_of_all_members_but_the_signature() -> None:
    members = OWNER.members()
    assert document_digest(members) == document_digest({**members, "signature": "x"})
    for name in members:
        assert document_digest({**members, name: "changed"}) != document_digest(members)


def test_impossible_numbers_are_refused() -> None:
    for change in ({"version": -1}, {"version": True}, {"version": 1.0}, {"version": None}, {"as_of": -1},
                   {"expires_at": NOW}, {"expires_at": NOW - 1}, {"expires_at": NOW + MAX_LIFETIME_MS + 1},
                   {"expires_at": 2**63}, {"as_of": "1"}):  # fmt: skip
        with pytest.raises(TrustRootError):
            TrustRoot.of({**OWNER.members(), **change}, OWNER.keys)


def test_a_list_is_signed_by_all_current_keys_and_by_no_other() -> None:
    owner = LogOwner()
    owner.rotate()
    root, note = root_of(owner)
    root.verify(note)
    for signers in (owner.signers[:1], owner.signers[1:], owner.signers[::-1], [*owner.signers, OWNER.signers[0]]):
        with pytest.raises(TrustRootError):
            root.sign(signers)
    one = TrustRoot(LogKeys.of(owner.signers[0].verifier), root.version, root.as_of, root.expires_at, root.digest)
    with pytest.raises(TrustRootError, match="all keys"):
        root.verify(one.sign(owner.signers[:1]))


def test_a_list_is_valid_until_it_expires_and_not_before_it_was_made() -> None:
    root, _ = root_of(OWNER)
    assert root.state(NOW) is TrustState.VALID
    assert root.state(NOW - CLOCK_TOLERANCE_MS) is TrustState.VALID
    assert root.state(NOW - CLOCK_TOLERANCE_MS - 1) is TrustState.CLOCK_BEHIND
    assert root.state(root.expires_at - 1) is TrustState.VALID
    assert root.state(root.expires_at) is TrustState.EXPIRED
    assert root.state(2**62) is TrustState.EXPIRED


# --- one list after another ----------------------------------------------------------------------------------------


def test_a_later_list_by_the_same_key_follows_and_the_same_list_too() -> None:
    root, note = root_of(OWNER)
    root.require_successor(root, note)
    root.require_successor(*root_of(OWNER, at=NOW + DAY))
    root.require_successor(*root_of(OWNER, version=99, at=NOW - DAY))  # a clock set back; the log has grown


def test_an_older_list_never_follows() -> None:
    root, _ = root_of(OWNER, version=20)
    for change in ({"version": 19}, {"version": 19, "at": NOW + DAY}, {"version": 20, "at": NOW - 1}):
        with pytest.raises(TrustRootError, match="older"):
            root.require_successor(*root_of(OWNER, **change))


def test_a_list_by_another_log_never_follows_whatever_its_name() -> None:
    root, _ = root_of(OWNER)
    with pytest.raises(TrustRootError, match="not signed by a key"):
        root.require_successor(*root_of(LogOwner(), version=99))
    with pytest.raises(TrustRootError, match="another log"):
        root.require_successor(*root_of(LogOwner("elsewhere.example/log"), version=99))


def test_the_chain_holds_through_rotation_and_retirement_and_over_missed_lists() -> None:
    owner = LogOwner()
    lists = [root_of(owner)]
    for change in (owner.rotate, owner.retire, owner.rotate, owner.retire):
        change()
        lists.append(root_of(owner))
    for at, (held, _) in enumerate(lists):
        for later in lists[at:]:
            held.require_successor(*later)
        for earlier in lists[:at]:
            with pytest.raises(TrustRootError):
                held.require_successor(*earlier)


def test_a_retired_key_puts_no_list_under_who_knows_that_it_is_retired() -> None:
    owner = LogOwner()
    owner.rotate()
    owner.retire()
    held, _ = root_of(owner)
    # The thief of the retired key goes on from the time when it was the only one, with a successor of his own.
    thief = LogOwner()
    thief.signers, thief.keys = owner.signers[:1], LogKeys.of(owner.signers[0].verifier)
    for change in (thief.rotate, thief.retire, thief.rotate):
        with pytest.raises(TrustRootError, match="not signed by a key"):
            held.require_successor(*root_of(thief, version=99))
        change()


def test_what_the_held_list_says_of_the_past_stays_true() -> None:
    owner = LogOwner()
    owner.rotate()
    owner.retire()
    owner.rotate()
    held, _ = root_of(owner)
    # A key that is current in the held list forgets the one that was retired before it.
    forgetful = LogOwner()
    forgetful.signers = owner.signers[1:2]
    forgetful.keys = LogKeys.of(owner.signers[1].verifier)
    with pytest.raises(TrustRootError, match="leaves out"):
        held.require_successor(*root_of(forgetful, version=99))
    # The same keys, but the retired one may sign for longer.
    members = keys_to_members(owner.keys)
    members[0]["last_size"] += 5
    longer = LogOwner()
    longer.signers, longer.keys = owner.signers, keys_from_members(members)
    with pytest.raises(TrustRootError, match="sign again"):
        held.require_successor(*root_of(longer, version=99))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["rotate", "list"]), max_size=6), st.lists(st.booleans(), min_size=1, max_size=6))
def test_no_list_signed_by_a_key_that_the_held_list_does_not_lead_to_is_ever_accepted(
    history: list[str], forgery: list[bool]
) -> None:
    """A forger sees all that was ever published, and makes keys and lists of his own: with every key of the log in
    his list or none, before or behind his own, and successions between his keys as he likes."""
    owner = LogOwner()
    for step in history:
        if step == "rotate":
            if len(owner.keys.current) == 2:
                owner.retire()
            owner.rotate()
    held, _ = root_of(owner)
    forger = LogOwner()
    rows = keys_to_members(owner.keys)
    for honest in forgery:
        forger.rotate()
        forger.retire()
        if honest:
            rows.append({**keys_to_members(forger.keys)[-1], "first_size": 10**6 + len(rows)})
        else:
            rows.insert(0, keys_to_members(forger.keys)[0])
    for keys in (rows, keys_to_members(forger.keys), rows + keys_to_members(forger.keys)):
        try:
            own = keys_from_members(keys)
        except LedgerError:
            continue
        forger.keys = own
        root = TrustRoot.of(forger.members(version=10**9), own)
        with pytest.raises(TrustRootError):
            held.require_successor(root, root.sign(forger.current))
