"""The state of a subject, nothing omitted: every way to leave something out is refused, or can be seen."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.errors import LedgerError, NoteError, ProofError
from ledger.leaf import Body, subject_tag
from ledger.log import Log
from ledger.map.state_proof import (
    MAX_ENTRIES_SHOWN,
    MAX_STATE_PROOF_SIZE,
    ErasedContent,
    OpenContent,
    ShownEntry,
    StateProof,
    verify_state_proof,
)
from ledger.map.statement import MAP_KIND, MAP_SUBJECT, MapStatement, verify_map_body
from ledger.map.subject_map import bucket_of, bucket_path, encode_bucket
from ledger.note import NoteSigner
from ledger.statement import STATEMENT_TYPE, sign_statement
from ledger.storage.engine import create_database_engine
from ledger.storage.map_sql import MapReader
from ledger.strict import encode_base64
from tests.ledger.map.map_builders import MAP_KEY_ID, MappedLog, subject_of
from tests.log_builders import ORIGIN, Clock, prepare_log_database

UNIT = "unit"
COUNT = 4
"""Entries about the unit in the story below."""


class Story:
    """A unit with four entries among others; the map was stated after three of them and again after all."""

    def __init__(self, directory: Path) -> None:
        url = f"sqlite:///{directory / 'log.db'}"
        prepare_log_database(url)
        engine = create_database_engine(url, durable=False)
        clock = Clock()
        self.mapped = MappedLog(
            Log.open(engine, origin=ORIGIN, signer=NoteSigner.generate(ORIGIN), clock=clock), engine, clock
        )
        for number in range(40):
            self.mapped.record(f"other {number}", f"other {number + 1}")
        self.mapped.record(UNIT)
        self.mapped.record("batch", UNIT)
        self.mapped.record("other 3")
        self.mapped.record(UNIT)
        self.mapped.publish()
        self.older = self.mapped.map.prove(subject_of(UNIT))
        self.recall = self.mapped.record(UNIT, "other 5")
        self.mapped.publish()
        self.mapped.record("other 7")
        self.proof = self.mapped.map.prove(subject_of(UNIT))
        self.other = self.mapped.map.prove(subject_of("other 3"))

    def refusal(self, proof: StateProof, **options: Any) -> LedgerError:
        with pytest.raises(LedgerError) as refused:
            self.mapped.verify(proof, UNIT, **options)
        assert refused.value.code in {"ledger.proof", "ledger.note", "ledger.statement"}
        return refused.value


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return Story(tmp_path_factory.mktemp("story"))


def test_a_proof_names_all_entries_and_as_of_when(story: Story) -> None:
    state = story.mapped.verify(story.proof, UNIT)
    assert len(state.entries) == COUNT
    assert state.entries[-1].index == story.recall
    assert [entry.number for entry in state.entries] == [0, 1, 2, 3]
    assert all(entry.body is not None and not entry.beyond for entry in state.entries)
    assert state.as_of_size == story.recall + 1
    assert state.map_index == story.recall + 1
    assert state.as_of_time == "2023-11-14T22:13:24.000Z"
    assert state.checkpoint.size >= state.map_index + 1


def test_a_proof_survives_its_text(story: Story) -> None:
    assert StateProof.from_json(story.proof.to_json()) == story.proof
    assert StateProof.from_json(story.proof.to_json().encode()) == story.proof
    assert StateProof.from_members(story.proof.to_members()) == story.proof


# --- omission ------------------------------------------------------------------------------------------------------


def test_no_entry_can_be_left_out(story: Story) -> None:
    entries = story.proof.entries
    for at in range(COUNT):
        lie = replace(story.proof, entries=entries[:at] + entries[at + 1 :])
        message = story.refusal(lie).message
        assert at == COUNT - 1 or "not entry number" in message
    for kept in range(COUNT):
        story.refusal(replace(story.proof, entries=entries[:kept]))
        story.refusal(replace(story.proof, entries=entries[kept + 1 :]))


def test_the_omitted_recall_is_named(story: Story) -> None:
    """The bucket of the true proof shows the absence of the fifth entry; the liar needs that of the fourth."""
    with story.mapped.engine.connect() as connection:
        own = MapReader(connection)
        head = own.head()
        assert head is not None
        bucket = bucket_of(subject_tag(subject_of(UNIT), COUNT - 1))
        records = [record for record in own.records(bucket) if record[1] < head.size]
        path = tuple(bucket_path(own.tile, bucket))
    lie = replace(story.proof, entries=story.proof.entries[:-1], bucket=encode_bucket(records), bucket_path=path)
    assert f"left out of the answer: entry {story.recall}" in story.refusal(lie).message
    hidden = [record for record in records if record[1] != story.recall]
    assert len(hidden) == len(records) - 1
    assert "does not lead to the root" in story.refusal(replace(lie, bucket=encode_bucket(hidden))).message


def test_an_older_answer_says_how_old_it_is_and_is_refused_by_who_knows_better(story: Story) -> None:
    state = story.mapped.verify(story.older, UNIT)
    assert len(state.entries) == COUNT - 1
    assert state.as_of_size == story.recall - 1
    assert state.as_of_time < story.mapped.verify(story.proof, UNIT).as_of_time
    assert "older" in story.refusal(story.older, at_least=story.recall + 1).message
    story.mapped.verify(story.proof, UNIT, at_least=story.recall + 1)


def test_an_older_map_under_a_newer_checkpoint_still_says_its_size(story: Story) -> None:
    """All that a liar gains by showing the older map: the asker sees that it covers less than the checkpoint."""
    mapped, checkpoint = story.mapped, story.mapped.log.checkpoint()
    size = checkpoint.checkpoint.size

    def under(shown: ShownEntry) -> ShownEntry:
        return replace(shown, path=tuple(mapped.log.inclusion_path(shown.index, size)))

    moved = replace(
        story.older,
        entries=tuple(under(entry) for entry in story.older.entries),
        map_entry=under(story.older.map_entry),
        checkpoint_note=checkpoint.note_text,
    )
    state = mapped.verify(moved, UNIT)
    assert state.as_of_size == story.recall - 1 < state.checkpoint.size
    with_recall = mapped.verify(replace(moved, entries=tuple(map(under, story.proof.entries))), UNIT)
    assert [entry.beyond for entry in with_recall.entries] == [False, False, False, True]


def test_the_answer_of_another_subject_is_refused(story: Story) -> None:
    assert "another subject" in story.refusal(story.other).message
    renamed = replace(story.other, subject=subject_of(UNIT))
    assert "not entry number" in story.refusal(renamed).message
    story.refusal(replace(renamed, entries=()))
    story.refusal(replace(story.proof, entries=story.other.entries))
    story.refusal(replace(story.proof, entries=(*story.proof.entries, story.other.entries[0])))


def test_entries_cannot_be_swapped_doubled_or_moved(story: Story) -> None:
    entries = story.proof.entries
    story.refusal(replace(story.proof, entries=entries[::-1]))
    story.refusal(replace(story.proof, entries=(*entries, entries[-1])))
    story.refusal(replace(story.proof, entries=(entries[0], *entries)))
    for at in range(COUNT):
        for index in {entry.index for entry in entries} - {entries[at].index}:
            moved = replace(entries[at], index=index)
            story.refusal(replace(story.proof, entries=(*entries[:at], moved, *entries[at + 1 :])))


def test_a_bucket_must_be_the_one_of_the_next_tag(story: Story) -> None:
    lie = replace(story.proof, bucket=story.other.bucket, bucket_path=story.other.bucket_path)
    assert lie != story.proof
    story.refusal(lie)
    story.refusal(replace(story.proof, bucket=story.proof.bucket + bytes(24)))
    story.refusal(replace(story.proof, bucket=encode_bucket([(subject_tag(subject_of(UNIT), COUNT), 3)])))


def test_a_map_of_an_earlier_size_does_not_go_with_a_bucket_of_a_later_one(story: Story) -> None:
    story.refusal(replace(story.proof, map_entry=story.older.map_entry))
    story.refusal(replace(story.older, map_entry=story.proof.map_entry))


# --- erased bodies -------------------------------------------------------------------------------------------------


def erased(shown: ShownEntry) -> ShownEntry:
    leaf, _ = shown.open()
    return replace(shown, content=ErasedContent(leaf.commitment, leaf.tags))


def test_an_erased_body_is_shown_as_erased_and_its_entry_still_counts(story: Story) -> None:
    entries = tuple(erased(entry) for entry in story.proof.entries)
    proof = StateProof.from_json(replace(story.proof, entries=entries).to_json())
    state = story.mapped.verify(proof, UNIT)
    assert [entry.body for entry in state.entries] == [None] * COUNT
    assert [entry.index for entry in state.entries] == [entry.index for entry in story.proof.entries]


def test_an_erased_entry_cannot_be_left_out_or_given_other_tags(story: Story) -> None:
    entries = tuple(erased(entry) for entry in story.proof.entries)
    story.refusal(replace(story.proof, entries=entries[:-1]))
    last = entries[-1].content
    assert isinstance(last, ErasedContent)
    assert len(last.tags) == 2
    for tags in (last.tags[::-1], last.tags[:1], (*last.tags, last.tags[0])):
        changed = replace(entries[-1], content=replace(last, tags=tags))
        story.refusal(replace(story.proof, entries=(*entries[:-1], changed)))


def test_the_map_itself_is_never_accepted_without_its_body(story: Story) -> None:
    assert "without its body" in story.refusal(replace(story.proof, map_entry=erased(story.proof.map_entry))).message


# --- the map's own statement ----------------------------------------------------------------------------------------


def test_a_map_signed_by_another_key_is_refused(story: Story) -> None:
    stranger = Ed25519PrivateKey.generate().public_key()
    for key_id, message in ((MAP_KEY_ID, "signature"), ("another", "none of those")):
        with pytest.raises(LedgerError, match=message):
            verify_state_proof(
                story.proof,
                subject=subject_of(UNIT),
                log_verifier=story.mapped.verifier,
                map_keys={key_id: stranger},
            )


def test_a_checkpoint_of_another_log_is_refused(story: Story) -> None:
    with pytest.raises(NoteError):
        verify_state_proof(
            story.proof,
            subject=subject_of(UNIT),
            log_verifier=NoteSigner.generate(ORIGIN).verifier,
            map_keys=story.mapped.map_keys,
        )


def map_body(story: Story, **changes: Any) -> Body:
    payload: dict[str, Any] = {"v": 1, "kind": MAP_KIND, "time": "2026-11-24T10:00:00.000Z", "size": 7}
    payload |= {"root": encode_base64(bytes(32))} | changes.pop("payload", {})
    for name in changes.pop("without", ()):
        del payload[name]
    token = sign_statement(
        payload, private_key=story.mapped.key, key_id=changes.pop("signed_as", MAP_KEY_ID), typ=STATEMENT_TYPE
    )
    return Body(
        **({"kind": MAP_KIND, "subjects": ((MAP_SUBJECT, 3),), "statement": token, "key_id": MAP_KEY_ID} | changes)
    )


def test_the_statement_of_a_map_is_read_back(story: Story) -> None:
    stated = verify_map_body(map_body(story), story.mapped.map_keys)
    assert stated == MapStatement(7, bytes(32), "2026-11-24T10:00:00.000Z")


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "event"},
        {"subjects": ((subject_of(UNIT), 3),)},
        {"subjects": tuple(sorted(((subject_of(UNIT), 3), (MAP_SUBJECT, 3))))},
        {"key_id": "another"},
        {"signed_as": "another"},
        {"payload": {"v": 2}},
        {"payload": {"v": True}},
        {"payload": {"kind": "event"}},
        {"payload": {"size": -1}},
        {"payload": {"size": 2**63}},
        {"payload": {"size": 7.0}},
        {"payload": {"root": "AAAA"}},
        {"payload": {"root": None}},
        {"payload": {"time": "yesterday"}},
        {"payload": {"time": "2026-11-24T10:00:00Z"}},
        {"payload": {"more": 1}},
        {"without": ["time"]},
    ],
    ids=str,
)
def test_what_is_not_the_statement_of_a_map_is_refused(story: Story, changes: dict[str, Any]) -> None:
    with pytest.raises(LedgerError):
        verify_map_body(map_body(story, **changes), story.mapped.map_keys)


def test_a_map_that_claims_entries_after_itself_is_refused(tmp_path: Path) -> None:
    story = Story(tmp_path)
    mapped = story.mapped
    honest, head = mapped.map.prove(subject_of(UNIT)), mapped.map.head()
    assert head is not None
    size = mapped.log.head()[0]
    index = mapped.log.append(mapped.map_entry(size + 5, head.root)).index
    checkpoint = mapped.log.checkpoint(at_least=index + 1)

    def shown(at: int) -> ShownEntry:
        entry = mapped.log.entry(at)
        assert entry.body is not None
        assert entry.salt is not None
        path = tuple(mapped.log.inclusion_path(at, checkpoint.checkpoint.size))
        return ShownEntry(at, entry.leaf.prev, OpenContent(entry.salt, entry.body.to_bytes()), path)

    lie = replace(
        honest,
        entries=tuple(shown(entry.index) for entry in honest.entries),
        map_entry=shown(index),
        checkpoint_note=checkpoint.note_text,
    )
    assert "before the entries" in story.refusal(lie).message


# --- every character ------------------------------------------------------------------------------------------------


Place = tuple[str | int, ...]


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, below in inner:
        yield (*at, name)
        yield from places(below, (*at, name))


def value_at(value: Any, place: Place) -> Any:
    for name in place:
        value = value[name]
    return value


def changed(members: dict[str, Any], place: Place, value: Any) -> dict[str, Any]:
    other = copy.deepcopy(members)
    value_at(other, place[:-1])[place[-1]] = value
    return other


def refuse_members(story: Story, members: Any) -> None:
    with pytest.raises(LedgerError) as refused:
        story.mapped.verify(StateProof.from_members(members), UNIT)
    assert refused.value.code in {"ledger.proof", "ledger.note", "ledger.statement"}


def test_no_member_can_be_missing_further_or_of_another_type(story: Story) -> None:
    members = json.loads(story.proof.to_json())
    for place in places(members):
        other = copy.deepcopy(members)
        del value_at(other, place[:-1])[place[-1]]
        refuse_members(story, other)
        for junk in (None, True, 0, -1, 1.5, "", "é", [], {}, [None], {"a": 1}):
            if (junk, type(junk)) != (value_at(members, place), type(value_at(members, place))):
                refuse_members(story, changed(members, place, junk))
    for holder in [(), ("map",), ("entries", 0)]:
        other = copy.deepcopy(members)
        value_at(other, holder)["more"] = "x"
        refuse_members(story, other)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_changed_byte_is_taken_for_more_than_white_space(story: Story, data: st.DataObject) -> None:
    text = story.proof.to_json().encode()
    start = data.draw(st.integers(0, len(text) - 1))
    end = min(len(text), start + data.draw(st.integers(0, 3)))
    mutated = text[:start] + data.draw(st.binary(max_size=3)) + text[end:]
    try:
        story.mapped.verify(StateProof.from_json(mutated), UNIT)
    except LedgerError:
        return
    assert json.loads(mutated) == json.loads(text)


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"null", b"\xff", "é", b'{"format":"marchamo state proof v1"}'])
def test_what_is_no_state_proof_is_refused(text: bytes | str) -> None:
    with pytest.raises(ProofError):
        StateProof.from_json(text)


def test_proofs_beyond_their_bounds_are_refused(story: Story) -> None:
    with pytest.raises(ProofError, match="at most"):
        StateProof.from_json(b"{" + b" " * MAX_STATE_PROOF_SIZE)
    members = json.loads(story.proof.to_json())
    many = members["entries"] * (MAX_ENTRIES_SHOWN // COUNT + 1)
    with pytest.raises(ProofError, match="too many"):
        StateProof.from_members(members | {"entries": many})
    with pytest.raises(ProofError, match="not a"):
        StateProof.from_members(members | {"format": "marchamo state proof v2"})


# --- any history ------------------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=3, unique=True), min_size=1, max_size=25), st.data()
)
def test_in_any_history_the_answer_is_whole_and_no_part_of_it_passes(
    tmp_path_factory: pytest.TempPathFactory, history: list[list[str]], data: st.DataObject
) -> None:
    directory = tmp_path_factory.mktemp("history")
    url = f"sqlite:///{directory / 'log.db'}"
    prepare_log_database(url)
    engine = create_database_engine(url, durable=False)
    clock = Clock()
    mapped = MappedLog(Log.open(engine, origin=ORIGIN, signer=NoteSigner.generate(ORIGIN), clock=clock), engine, clock)
    expected: dict[str, list[int]] = {name: [] for name in "abcd"}
    for names in history:
        index = mapped.record(*names)
        for name in names:
            expected[name].append(index)
        if data.draw(st.booleans()):
            mapped.publish()
    clock.now += 2
    for name in "abcd":
        proof = mapped.map.prove(subject_of(name))
        state = mapped.verify(proof, name)
        assert [entry.index for entry in state.entries] == expected[name]
        assert not any(entry.beyond for entry in state.entries)
        for at in range(len(proof.entries)):
            with pytest.raises(ProofError):
                mapped.verify(replace(proof, entries=proof.entries[:at] + proof.entries[at + 1 :]), name)
        for other in set("abcd") - {name}:
            with pytest.raises(ProofError):
                mapped.verify(proof, other)
    engine.dispose()
