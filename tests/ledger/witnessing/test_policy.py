from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.checkpoint import Checkpoint
from ledger.cosignature import ML_DSA_44_COSIGNATURE, CosignatureVerifier
from ledger.errors import NoteError, PolicyError
from ledger.note import Note, NoteVerifier, Signature, parse_note
from ledger.witnessing.policy import MAX_ITEMS, MAX_POLICY_SIZE, Group, KnownLog, Policy, Witness, read_policy
from tests.small_log import log_of, signer
from tests.witness_builders import NOW, cosigned, cosigner_key, policy_of

LOG = signer().verifier.to_text()
KEYS = [cosigner_key(f"{letter}.example/w") for letter in "abcdef"]
VKEYS = [key.verifier.to_text() for key in KEYS]
NOTE = log_of(5).checkpoint().note_text
TEXT = parse_note(NOTE).text

# The example of the specification, with keys filled in.
EXAMPLE = f"""\
log {LOG}

witness X1 {VKEYS[0]}
witness X2 {VKEYS[1]}
witness X3 {VKEYS[2]}
group X-witnesses 2 X1 X2 X3

witness Y1 {VKEYS[3]}
witness Y2 {VKEYS[4]}
witness Y3 {VKEYS[5]}
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""


def read(text: str) -> Policy:
    return Policy.from_bytes(text.encode())


def two_witnesses(rest: str) -> str:
    return f"witness A {VKEYS[0]}\nwitness B {VKEYS[1]}\n{rest}"


def test_the_example_of_the_specification_is_read() -> None:
    policy = read(EXAMPLE)
    assert policy.quorum == "X-and-Y"
    assert [log.verifier for log in policy.logs] == [signer().verifier]
    assert [witness.name for witness in policy.witnesses] == ["X1", "X2", "X3", "Y1", "Y2", "Y3"]
    assert policy.groups == (
        Group("X-witnesses", 2, ("X1", "X2", "X3")),
        Group("Y-witnesses", 1, ("Y1", "Y2", "Y3")),
        Group("X-and-Y", 2, ("X-witnesses", "Y-witnesses")),
    )


@pytest.mark.parametrize(
    ("signed", "met"),
    [("", False), ("abc", False), ("ad", False), ("abd", True), ("bcef", True), ("abcdef", True), ("def", False)],
)
def test_a_quorum_of_two_levels_is_met_or_not(signed: str, met: bool) -> None:
    keys = [key for key in KEYS if key.name[0] in signed]
    found = read(EXAMPLE).count(cosigned(NOTE, *keys))
    assert (found.k, found.n, found.quorum_met) == (len(signed), 6, met)
    assert found.names == tuple(key.name for key in keys)


def test_a_policy_is_written_and_read_back() -> None:
    policy = read(EXAMPLE)
    assert Policy.from_bytes(policy.to_bytes()) == policy


def test_white_space_comments_and_empty_lines_are_allowed() -> None:
    text = f"# ñandú\n\t #another\n\n  witness\tA  {VKEYS[0]} \t https://a.example/w \nquorum A\t\n"
    policy = read(text)
    assert policy.witnesses == (Witness("A", KEYS[0].verifier, "https://a.example/w"),)
    assert policy.quorum == "A"


def test_no_witness_at_all_is_a_policy_that_nobody_takes_for_witnessed() -> None:
    found = read("quorum none\n").count(NOTE)
    assert found.quorum_met
    assert not found.by_quorum
    assert found.to_members() == {"k": 0, "n": 0, "quorum": False}
    assert read("quorum none\n") == Policy()


def test_without_a_quorum_witnesses_are_counted_all_the_same() -> None:
    policy = read(two_witnesses("quorum none\n"))
    assert policy.count(NOTE).to_members() == {"k": 0, "n": 2, "quorum": False}
    assert policy.count(cosigned(NOTE, KEYS[1])).to_members() == {"k": 1, "n": 2, "quorum": True}


def test_a_single_witness_may_be_the_quorum() -> None:
    policy = read(two_witnesses("quorum B\n"))
    assert not policy.count(cosigned(NOTE, KEYS[0])).quorum_met
    assert policy.count(cosigned(NOTE, KEYS[1])).quorum_met


def test_keys_of_ml_dsa_are_read_for_logs_and_witnesses() -> None:
    log, witness = (cosigner_key(name, ML_DSA_44_COSIGNATURE).verifier for name in ("log.example", "w.example"))
    policy = read(f"log {log.to_text()} https://log.example/\nwitness A {witness.to_text()}\nquorum A\n")
    assert policy.logs == (KnownLog(log, "https://log.example/"),)
    assert policy.witnesses == (Witness("A", witness),)
    assert Policy.from_bytes(policy.to_bytes()) == policy


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "must end in a newline"),
        ("quorum none", "must end in a newline"),
        ("\n", "has no quorum line"),
        ("quorum none\nquorum none\n", "line 2: a policy has only one quorum line"),
        ("quorum A\n", "line 1: the quorum A is not defined"),
        (f"quorum A\nwitness A {VKEYS[0]}\n", "line 1: the quorum A is not defined"),
        ("quorum none\r\n", "no control characters"),
        ("quorum none\x7f\n", "no control characters"),
        ("quorum none\0\n", "no control characters"),
        ("quorum\n", "line 1: a quorum line"),
        ("quorum none none\n", "line 1: a quorum line"),
        ("Quorum none\n", "line 1: a line starts with"),
        ("\ufeffquorum none\n", "line 1: a line starts with"),
        ("quorum\u00a0none\n", "line 1: a line starts with"),
        (f"witness A {VKEYS[0]} url more\nquorum A\n", "line 1: a witness line"),
        (f"witness {VKEYS[0]}\nquorum none\n", "line 1: a witness line"),
        (f"witness none {VKEYS[0]}\nquorum none\n", "line 1: the name none is defined already"),
        (f"witness A {LOG}\nquorum A\n", "line 1: this type of key is not known here"),
        (f"witness A {VKEYS[0]}x\nquorum A\n", "line 1: the last part of a key is base64"),
        (f"log {VKEYS[0]}\nquorum none\n", "line 1: this type of key is not known here"),
        (f"log name {LOG}\nquorum none\n", "line 1: .*hexadecimal"),
        (f"witness A {VKEYS[0]}\nwitness A {VKEYS[1]}\nquorum A\n", "line 2: the name A is defined already"),
        (f"witness A {VKEYS[0]}\nwitness B {VKEYS[0]}\nquorum A\n", "two witnesses have the same public key"),
        (f"log {LOG}\nlog {LOG}\nquorum none\n", "two logs have the same public key"),
        (two_witnesses("group A any B\nquorum A\n"), "line 3: the name A is defined already"),
        (two_witnesses("group G any A\ngroup G any B\nquorum G\n"), "line 4: the name G is defined already"),
        (two_witnesses("group G any none\nquorum G\n"), "line 3: the member none"),
        (two_witnesses("group G any G\nquorum G\n"), "line 3: the member G"),
        (two_witnesses("group G any H\ngroup H any A\nquorum G\n"), "line 3: the member H"),
        (two_witnesses("group G any A A\nquorum G\n"), "line 3: A is listed as a member twice"),
        (two_witnesses("group G any A\ngroup H any A B\nquorum H\n"), "line 4: A is listed as a member twice"),
        (two_witnesses("group G any\nquorum none\n"), "line 3: a group line"),
        (two_witnesses("group G 0 A B\nquorum G\n"), "line 3: the group G needs"),
        (two_witnesses("group G 3 A B\nquorum G\n"), "line 3: the group G needs"),
        (two_witnesses("group G 02 A B\nquorum G\n"), "line 3: how many of a group"),
        (two_witnesses("group G -1 A B\nquorum G\n"), "line 3: how many of a group"),
        (two_witnesses("group G two A B\nquorum G\n"), "line 3: how many of a group"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_its_line(text: str, reason: str) -> None:
    with pytest.raises(PolicyError, match=reason):
        read(text)


def test_the_same_public_key_under_another_name_is_still_a_duplicate() -> None:
    again = CosignatureVerifier("renamed.example/w", KEYS[0].verifier.public_key).to_text()
    with pytest.raises(PolicyError, match="two witnesses have the same public key"):
        read(f"witness A {VKEYS[0]}\nwitness B {again}\nquorum A\n")
    log_again = NoteVerifier("renamed.example/log", signer().verifier.public_key).to_text()
    with pytest.raises(PolicyError, match="two logs have the same public key"):
        read(f"log {LOG}\nlog {log_again}\nquorum none\n")


def test_a_log_does_not_witness_itself() -> None:
    itself = CosignatureVerifier("w.example", signer().verifier.public_key).to_text()
    with pytest.raises(PolicyError, match="does not witness itself"):
        read(f"log {LOG}\nwitness A {itself}\nquorum A\n")


def test_names_are_octets_and_stay_apart() -> None:
    kelvin, latin = "\u212a".encode(), b"\xff\x80"
    lines = [b"witness K " + VKEYS[0].encode(), b"witness " + kelvin + b" " + VKEYS[1].encode()]
    lines += [b"witness " + latin + b" " + VKEYS[2].encode(), b"group G all K " + kelvin + b" " + latin, b"quorum G"]
    data = b"".join(line + b"\n" for line in lines)
    policy = Policy.from_bytes(data)
    assert len({witness.name for witness in policy.witnesses}) == 3
    assert latin in policy.to_bytes()
    assert Policy.from_bytes(policy.to_bytes()) == policy
    with pytest.raises(PolicyError, match="�"):
        Policy.from_bytes(b"quorum \xff\n")


@pytest.mark.parametrize("name", ["", "two words", "tab\there", "line\n", "\x00", "\x7f"])
def test_a_policy_that_could_not_be_written_is_not_made(name: str) -> None:
    with pytest.raises(PolicyError, match="holds no white space"):
        Policy("none", (), (Witness(name, KEYS[0].verifier),))
    with pytest.raises(PolicyError, match="holds no white space"):
        Policy("none", (), (Witness("A", KEYS[0].verifier, f"https://a.example/{name}" if name else ""),))


def test_parts_that_do_not_fit_together_make_no_policy() -> None:
    policy = policy_of(KEYS[:2], 2)
    with pytest.raises(PolicyError, match="is not defined"):
        replace(policy, quorum="other")
    with pytest.raises(PolicyError, match="needs at least 1"):
        replace(policy, groups=(Group("enough", 3, ("w0", "w1")),))


def test_limits_are_above_those_that_the_specification_recommends() -> None:
    keys = [cosigner_key(f"many.example/{at}") for at in range(MAX_ITEMS + 1)]
    assert policy_of(keys[:32], 32).count(cosigned(NOTE, *keys[:32])).k == 32
    assert len(policy_of(keys[:MAX_ITEMS], 1).witnesses) == MAX_ITEMS >= 32
    with pytest.raises(PolicyError, match="at most 64 logs"):
        policy_of(keys, 1)
    with pytest.raises(PolicyError, match="has at most"):
        Policy.from_bytes(b"#" * MAX_POLICY_SIZE + b"\n")


def test_a_broken_cosignature_of_a_known_witness_refuses_the_whole_note() -> None:
    policy = policy_of(KEYS[:2], 1)
    line = KEYS[0].sign(TEXT)
    broken = Signature(line.name, line.key_id, line.signature[:-1] + bytes([line.signature[-1] ^ 1]))
    note = parse_note(cosigned(NOTE, KEYS[1]))
    with pytest.raises(NoteError, match="does not fit this checkpoint"):
        policy.count(Note(note.text, (*note.signatures, broken)))


def test_strangers_count_for_nothing() -> None:
    policy = policy_of(KEYS[:2], 1)
    impostor = Signature(KEYS[0].name, KEYS[0].verifier.key_id ^ 1, b"any")
    note = parse_note(cosigned(NOTE, *KEYS[2:]))
    assert policy.count(Note(note.text, (*note.signatures, impostor))).k == 0


def test_a_witness_counts_once_with_its_newest_time() -> None:
    policy = policy_of(KEYS[:2], 2)
    note = parse_note(NOTE)
    lines = [KEYS[0].sign_at(TEXT, NOW + 9), KEYS[0].sign_at(TEXT, NOW), KEYS[1].sign_at(TEXT, NOW + 4)]
    found = policy.count(Note(note.text, (*note.signatures, *lines)))
    assert (found.k, found.oldest, found.newest) == (2, NOW + 4, NOW + 9)


def test_a_cosignature_without_a_time_counts_for_nothing() -> None:
    # The specification allows it, as the signature of a subtree; only our own signer refuses to make one.
    key = cosigner_key("q.example/w", ML_DSA_44_COSIGNATURE)
    checkpoint = Checkpoint.from_text(TEXT)
    origin = checkpoint.origin.encode()
    message = b"subtree/v1\n\0" + bytes([len(key.name)]) + key.name.encode() + bytes(8)
    message += bytes([len(origin)]) + origin + bytes(8) + checkpoint.size.to_bytes(8, "big") + checkpoint.root
    signature = Signature(key.name, key.verifier.key_id, bytes(8) + key.private_key.sign(message))
    key.verifier.verify(TEXT, signature.signature)
    note = parse_note(NOTE)
    assert policy_of([key], 1).count(Note(note.text, (*note.signatures, signature))).k == 0


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"absent\.policy cannot be read"):
        read_policy(tmp_path / "absent.policy")
    path = tmp_path / "bad.policy"
    path.write_bytes(b"quorum any\n")
    with pytest.raises(PolicyError, match=r"bad\.policy cannot be used: line 1"):
        read_policy(path)
    path.write_bytes(EXAMPLE.encode())
    assert read_policy(path) == read(EXAMPLE)


@given(st.binary(max_size=200) | st.text("quormnewits gpall any123#\n\tA+", max_size=120).map(str.encode))
def test_any_octets_are_a_policy_or_refused_with_a_policy_error(data: bytes) -> None:
    try:
        policy = Policy.from_bytes(data)
    except PolicyError:
        return
    assert Policy.from_bytes(policy.to_bytes()) == policy


@given(
    st.sets(st.integers(0, 5)), st.lists(st.sampled_from(["one", "two", "three"]), min_size=6, max_size=6), st.data()
)
def test_a_quorum_is_what_the_groups_say(signed: set[int], places: list[str], data: st.DataObject) -> None:
    members = {place: [at for at in range(6) if places[at] == place] for place in sorted(set(places))}
    limits = {place: data.draw(st.integers(1, len(inside))) for place, inside in members.items()}
    top = data.draw(st.integers(1, len(members)))
    groups = [Group(place, limits[place], tuple(f"w{at}" for at in inside)) for place, inside in members.items()]
    policy = Policy(
        "top",
        (),
        tuple(Witness(f"w{at}", key.verifier) for at, key in enumerate(KEYS)),
        (*groups, Group("top", top, tuple(members))),
    )
    met = [place for place, inside in members.items() if len(signed.intersection(inside)) >= limits[place]]
    assert policy.judge({f"w{at}": NOW for at in signed}).quorum_met == (len(met) >= top)
