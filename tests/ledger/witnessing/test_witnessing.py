"""The log's side of witnessing, against the real witness: in memory, over HTTP, and when either of them misbehaves."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import Engine

from ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from ledger.errors import PolicyError, TransportError
from ledger.log import Log
from ledger.merkle import consistency_path
from ledger.note import NoteSigner, Signature, parse_note, read_signature
from ledger.storage.sql import SqlLogStorage
from ledger.witness.application import WitnessApplication
from ledger.witness.cosigner import Cosigner
from ledger.witness.protocol import AddCheckpoint, parse_size
from ledger.witnessing.client import MAX_PAUSE_SECONDS, Report, Result, Witnessing
from ledger.witnessing.policy import Policy
from ledger.witnessing.transport import Answer
from tests.log_builders import ORIGIN, Clock, new_entry
from tests.witness_builders import cosigner_key, make_cosigner, policy_of

A, B = cosigner_key("a.example/w"), cosigner_key("b.example/w")
sqlite_is_enough = pytest.mark.parametrize("database_kind", ["sqlite"])  # what is tested is not the database
URL_A, URL_B = "http://a.example/w", "http://b.example/w"


@dataclass
class Wires:
    """A transport to applications in memory; `change` may replace what is on its way."""

    applications: dict[str, WitnessApplication] = field(default_factory=dict)
    posts: list[tuple[str, bytes]] = field(default_factory=list)
    change: Callable[[str, Answer], Answer] = lambda _url, answer: answer
    before: Callable[[str], None] = lambda _url: None

    def get(self, url: str) -> Answer:
        return self._call("GET", url, b"")

    def post(self, url: str, body: bytes) -> Answer:
        self.before(url)
        self.posts.append((url, body))
        return self.change(url, self._call("POST", url, body))

    def _call(self, method: str, url: str, body: bytes) -> Answer:
        parts = urlsplit(url)
        application = self.applications.get(parts.netloc)
        if application is None:
            raise TransportError(f"{parts.netloc} gave no answer")
        environ: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": parts.path, "wsgi.input": io.BytesIO(body)}
        environ["CONTENT_LENGTH"] = str(len(body))
        told: list[Any] = []
        data = b"".join(application(environ, lambda status, headers: told.extend([status, dict(headers)])))
        return Answer(int(told[0][:3]), told[1]["Content-Type"].partition(";")[0], data)


@dataclass
class Alarms:
    raised: list[tuple[bool, str, str]] = field(default_factory=list)

    def __call__(self, *, proven: bool, detail: str, evidence: str) -> None:
        self.raised.append((proven, detail, evidence))


@dataclass
class Scene:
    """A log, two witnesses that know it, and the client between them."""

    log: Log
    storage: SqlLogStorage
    clock: Clock
    signer: NoteSigner
    folder: Path
    wires: Wires = field(default_factory=Wires)
    alarms: Alarms = field(default_factory=Alarms)
    ticks: float = 0.0
    opened: list[Witnessing] = field(default_factory=list)

    def add_witness(self, name: str = "a.example") -> Cosigner:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        key = cosigner_key(f"{name}/w")
        cosigner = make_cosigner(folder, keys=[key], logs=[self.log.verifier], clock=self.clock)
        self.wires.applications[name] = WitnessApplication(cosigner, prefix="/w")
        return cosigner

    def client(self, policy: Policy | None = None, **options: Any) -> Witnessing:
        made = Witnessing(
            self.log,
            self.storage,
            policy or policy_of([A, B], 1, [URL_A, URL_B]),
            transport=self.wires,
            alarm=self.alarms,
            clock=self.clock,
            monotonic=lambda: self.ticks,
            **options,
        )
        self.opened.append(made)
        return made

    def grow(self, count: int = 3) -> int:
        """Append entries and let the time of a new checkpoint come; gives the size."""
        size, _ = self.log.head()
        self.log.append_many([new_entry(size + number) for number in range(count)])
        self.clock.now += 1.5
        return size + count

    def kept(self, size: int) -> list[str]:
        with self.storage.reading() as reader:
            return reader.cosignatures(size)


@pytest.fixture
def scene(log: Log, engine: Engine, clock: Clock, signer: NoteSigner, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(log, SqlLogStorage(engine), clock, signer, tmp_path)
    yield made
    for client in made.opened:
        client.close()


def results(reports: list[Report]) -> list[tuple[str, Result, int]]:
    return [(report.witness, report.result, report.size) for report in reports]


def signed_by(note_text: str, lines: list[str]) -> set[str]:
    """Names of the witnesses whose lines hold; fails for a line that does not."""
    note = parse_note(note_text)
    verifiers = {key.verifier.key_id: key.verifier for key in (A, B)}
    for line in lines:
        signature = read_signature(line.removesuffix("\n"))
        verifiers[signature.key_id].verify(note.text, signature.signature)
    return {read_signature(line.removesuffix("\n")).name for line in lines}


def test_every_witness_cosigns_each_new_checkpoint_once(scene: Scene) -> None:
    witnesses = [scene.add_witness("a.example"), scene.add_witness("b.example")]
    client = scene.client()
    for _ in range(4):
        size = scene.grow()
        assert results(client.run_once()) == [(key.name, Result.COSIGNED, size) for key in (A, B)]
        assert client.run_once() == []
        assert signed_by(scene.log.checkpoint().note_text, scene.kept(size)) == {A.name, B.name}
        assert [one.state.all_latest()[ORIGIN].size for one in witnesses] == [size, size]
    assert len(scene.wires.posts) == 8
    assert scene.alarms.raised == []


def test_a_client_that_starts_anew_learns_the_size_from_the_witness(scene: Scene) -> None:
    scene.add_witness()
    policy = policy_of([A], 1, [URL_A])
    for _ in range(3):
        size = scene.grow()
        assert results(scene.client(policy).run_once()) == [(A.name, Result.COSIGNED, size)]
    olds = [AddCheckpoint.from_bytes(body).old_size for _, body in scene.wires.posts]
    assert olds == [0, 0, 3, 0, 6]


def test_a_second_client_keeps_the_first_cosignature(scene: Scene) -> None:
    scene.add_witness()
    policy, size = policy_of([A], 1, [URL_A]), scene.grow()
    scene.client(policy).run_once()
    [kept] = scene.kept(size)
    scene.clock.now += 10  # another line: the witness states a new time
    assert results(scene.client(policy).run_once()) == [(A.name, Result.COSIGNED, size)]
    assert scene.kept(size) == [kept]


def test_a_witness_that_is_gone_stops_no_other(scene: Scene) -> None:
    scene.add_witness("b.example")
    client, size = scene.client(), scene.grow()
    assert results(client.run_once()) == [(A.name, Result.UNREACHABLE, size), (B.name, Result.COSIGNED, size)]
    assert signed_by(scene.log.checkpoint().note_text, scene.kept(size)) == {B.name}


def test_a_witness_that_hangs_is_not_waited_for_and_its_late_answer_is_kept(scene: Scene) -> None:
    scene.add_witness("a.example")
    scene.add_witness("b.example")
    answer = threading.Event()
    scene.wires.before = lambda url: None if url.startswith(URL_B) else (answer.wait(20), None)[1]
    client, size = scene.client(patience=0.2), scene.grow()
    assert results(client.run_once()) == [(B.name, Result.COSIGNED, size)]
    later = scene.grow()
    assert results(client.run_once()) == [(B.name, Result.COSIGNED, later)]
    assert len([url for url, _ in scene.wires.posts if url.startswith(URL_A)]) == 0  # one request under way, no second
    answer.set()
    client.close()
    assert signed_by(scene.log._checkpoint_of(size).note_text, scene.kept(size)) == {A.name, B.name}


@sqlite_is_enough
def test_a_witness_that_fails_is_asked_less_and_less_often(scene: Scene) -> None:
    client = scene.client(policy_of([A], 1, [URL_A]))
    scene.grow()
    asked = []
    for tick in range(400):
        scene.ticks = float(tick)
        if client.run_once():
            asked.append(tick)
    pauses = [after - before for before, after in pairwise(asked)]
    assert pauses[:6] == [2, 4, 8, 16, 32, 60]
    assert set(pauses[6:]) == {int(MAX_PAUSE_SECONDS)}
    scene.add_witness()
    scene.ticks = 1_000.0
    assert [report.result for report in client.run_once()] == [Result.COSIGNED]


def test_a_checkpoint_is_published_for_the_witnesses(scene: Scene) -> None:
    scene.add_witness()
    scene.client().run_once()
    first = scene.log.published()
    size = scene.grow()
    scene.client().run_once()
    latest = scene.log.published()
    assert first is not None
    assert latest is not None
    assert (first.checkpoint.size, latest.checkpoint.size) == (0, size)


def test_witnesses_without_an_address_are_not_asked(scene: Scene) -> None:
    scene.grow()
    assert scene.client(policy_of([A, B], 1)).run_once() == []
    assert scene.wires.posts == []


@sqlite_is_enough
@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example/w",
        "http://",
        "a.example/w",
        "http://user:password@a.example/w",
        "http://a.example/w?x=1",
        "http://a.example/w#x",
        "http://a.example:port/w",
        "http://ñ.example/w",
        "http://[a.example/w",
    ],
)
def test_an_address_that_cannot_be_asked_is_refused_at_the_start(scene: Scene, url: str) -> None:
    with pytest.raises(PolicyError, match="is not the address of a witness"):
        scene.client(policy_of([A], 1, [url]))


# What a witness may do wrong


def line_of(text: str, **changes: Any) -> bytes:
    """A's cosignature line over a text, with parts of it changed."""
    line = A.sign(text)
    parts: dict[str, Any] = {"name": line.name, "key_id": line.key_id, "signature": line.signature} | changes
    return Signature(**parts).line().encode()


BAD_ANSWERS: dict[str, Callable[[str], Answer]] = {
    "nothing": lambda text: Answer(200, "text/plain", b""),
    "garbage": lambda text: Answer(200, "text/plain", b"\xff\n"),
    "prose": lambda text: Answer(200, "text/html", b"<h1>It works!</h1>\n"),
    "another key": lambda text: Answer(200, "text/plain", B.sign(text).line().encode()),
    "another text": lambda text: Answer(200, "text/plain", line_of(text.replace("log", "lag"))),
    "a changed time": lambda text: Answer(
        200, "text/plain", line_of(text, signature=b"\1" + A.sign(text).signature[1:])
    ),
    "cut short": lambda text: Answer(200, "text/plain", line_of(text, signature=A.sign(text).signature[:-1])),
    "one good, one broken": lambda text: Answer(200, "text/plain", line_of(text) + line_of(text, signature=bytes(72))),
    "many lines": lambda text: Answer(200, "text/plain", line_of(text) * 200),
    "an error": lambda text: Answer(500, "text/plain", b"oh\x1b[31m no\n" * 50),
    "not found": lambda text: Answer(404, "text/plain", b"unknown log\n"),
    "forbidden": lambda text: Answer(403, "text/plain", b""),
    "a redirect": lambda text: Answer(302, "text/plain", b""),
    "a conflict without a size": lambda text: Answer(409, "text/x.tlog.size", b""),
    "a conflict of another type": lambda text: Answer(409, "text/plain", b"2\n"),
    "a conflict of the same size": lambda text: Answer(409, "text/x.tlog.size", b"0\n"),
    "unprocessable from size zero": lambda text: Answer(422, "text/plain", b"no\n"),
}


@sqlite_is_enough
@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_an_answer_that_proves_nothing_is_never_kept(scene: Scene, name: str) -> None:
    scene.add_witness("a.example")
    scene.add_witness("b.example")
    size = scene.grow()
    text = parse_note(scene.log.checkpoint().note_text).text
    scene.wires.change = lambda url, answer: BAD_ANSWERS[name](text) if url.startswith(URL_A) else answer
    reports = scene.client().run_once()
    assert results(reports) == [(A.name, Result.REFUSED, size), (B.name, Result.COSIGNED, size)]
    assert reports[0].detail.isprintable()
    assert len(reports[0].detail) < 300
    assert signed_by(scene.log.checkpoint().note_text, scene.kept(size)) == {B.name}
    assert scene.alarms.raised == []


def test_lines_of_other_keys_beside_the_good_one_are_ignored(scene: Scene) -> None:
    scene.add_witness()
    size = scene.grow()
    text = parse_note(scene.log.checkpoint().note_text).text
    scene.wires.change = lambda _url, answer: Answer(200, "text/plain", B.sign(text).line().encode() + answer.body)
    assert results(scene.client(policy_of([A], 1, [URL_A])).run_once()) == [(A.name, Result.COSIGNED, size)]
    assert signed_by(scene.log.checkpoint().note_text, scene.kept(size)) == {A.name}


def test_a_witness_that_tells_another_size_each_time_is_left_alone(scene: Scene) -> None:
    scene.add_witness()
    scene.grow(9)
    sizes = iter(range(1, 9))
    scene.wires.change = lambda _url, _answer: Answer(409, "text/x.tlog.size", b"%d\n" % next(sizes))
    [report] = scene.client(policy_of([A], 1, [URL_A])).run_once()
    assert (report.result, report.detail) == (Result.REFUSED, "it tells another size each time")
    assert len(scene.wires.posts) == 3


# What the log may do wrong


def fork(scene: Scene, cosigner: Cosigner, size: int) -> str:
    """Have a witness cosign another history, signed with the log's own key; gives that note."""
    note = sign_checkpoint(Checkpoint(ORIGIN, size, b"\x05" * 32), scene.signer).note_text
    assert cosigner.add_checkpoint(AddCheckpoint(0, (), note).to_bytes()).status == 200
    return note


def test_a_log_that_shows_two_histories_is_found_out(scene: Scene) -> None:
    other = fork(scene, scene.add_witness(), 4)
    scene.grow(9)
    client = scene.client(policy_of([A], 1, [URL_A]))
    [report] = client.run_once()
    assert report.result is Result.CONTRADICTED
    [(proven, detail, evidence)] = scene.alarms.raised
    assert proven
    assert "another history of this ledger up to entry 4" in detail
    # The evidence is the other note: signed with the log's own key, and contradicted by its tree.
    checkpoint = open_checkpoint(evidence, scene.log.verifier).checkpoint
    assert checkpoint == open_checkpoint(other, scene.log.verifier).checkpoint
    assert scene.kept(9) == []


def test_another_root_for_the_same_size_is_found_out(scene: Scene) -> None:
    fork(scene, scene.add_witness(), 9)
    scene.grow(9)
    [report] = scene.client(policy_of([A], 1, [URL_A])).run_once()
    assert report.result is Result.CONTRADICTED
    assert [proven for proven, _, _ in scene.alarms.raised] == [True]


def test_a_log_that_lost_entries_is_found_out(scene: Scene) -> None:
    fork(scene, scene.add_witness(), 50)
    scene.grow(9)
    [report] = scene.client(policy_of([A], 1, [URL_A])).run_once()
    assert report.result is Result.CONTRADICTED
    [(proven, detail, _)] = scene.alarms.raised
    assert proven
    assert "saw 50 entries of this ledger, which has only 9" in detail


def test_one_contradiction_raises_one_alarm_while_it_lasts(scene: Scene) -> None:
    fork(scene, scene.add_witness(), 4)
    client = scene.client(policy_of([A], 1, [URL_A]))
    for number in range(5):
        scene.grow(9)
        scene.ticks = number * 100.0
        assert [report.result for report in client.run_once()] == [Result.CONTRADICTED]
    assert len(scene.alarms.raised) == 1


def test_a_witness_that_only_claims_a_contradiction_proves_none(scene: Scene) -> None:
    cosigner = scene.add_witness()
    client = scene.client(policy_of([A], 1, [URL_A]))
    scene.grow()
    client.run_once()
    scene.grow()
    scene.wires.change = lambda _url, _answer: Answer(422, "text/plain", b"no\n")
    assert [report.result for report in client.run_once()] == [Result.CONTRADICTED]
    [(proven, detail, evidence)] = scene.alarms.raised
    assert not proven
    assert detail.endswith("or errs: no")
    assert evidence == scene.log.checkpoint().note_text
    assert cosigner.state.evidence() == []
    # When it cosigns again, a later claim is a new alarm.
    scene.wires.change = lambda _url, answer: answer
    for tick, change in [(100.0, scene.wires.change), (200.0, lambda _url, _answer: Answer(422, "", b""))]:
        scene.grow()
        scene.ticks, scene.wires.change = tick, change
        client.run_once()
    assert len(scene.alarms.raised) == 2


def test_a_witness_that_is_ahead_because_another_process_published_is_followed(scene: Scene) -> None:
    cosigner = scene.add_witness()
    client = scene.client(policy_of([A], 1, [URL_A]))
    scene.grow()
    client.run_once()
    stale = scene.log.checkpoint()
    size = scene.grow()
    ahead = scene.log.checkpoint()
    scene.log._published = stale, int(scene.clock.now * 1000)  # as a process that has not read on yet
    path = scene.log.consistency_path(stale.checkpoint.size, size)
    request = AddCheckpoint(stale.checkpoint.size, tuple(path), ahead.note_text)
    assert cosigner.add_checkpoint(request.to_bytes()).status == 200
    again = scene.client(policy_of([A], 1, [URL_A]))
    assert results(again.run_once()) == [(A.name, Result.COSIGNED, size)]
    assert signed_by(ahead.note_text, scene.kept(size)) == {A.name}


def test_rows_that_could_not_be_stored_are_stored_by_the_next_round(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.add_witness()
    client, size = scene.client(policy_of([A], 1, [URL_A])), scene.grow()
    scene.log.checkpoint()

    def down() -> None:
        raise OSError("the database is gone")

    monkeypatch.setattr(scene.storage, "writing", down)
    with pytest.raises(OSError, match="the database is gone"):
        client.run_once()
    assert scene.kept(size) == []
    monkeypatch.undo()
    client.run_once()
    assert signed_by(scene.log.checkpoint().note_text, scene.kept(size)) == {A.name}


def test_our_own_failure_is_raised_and_not_blamed_on_the_witness(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.add_witness()
    client, size = scene.client(policy_of([A], 1, [URL_A])), scene.grow()

    def broken(*_args: int) -> list[bytes]:
        raise OSError("the database is gone")

    monkeypatch.setattr(scene.log, "consistency_path", broken)
    with pytest.raises(OSError, match="the database is gone"):
        client.run_once()
    monkeypatch.undo()
    assert results(client.run_once()) == [(A.name, Result.COSIGNED, size)]


def test_the_proof_of_the_tiles_is_that_of_the_leaves(scene: Scene) -> None:
    """What is sent to witnesses is the proof of RFC 9162, which the reference builds from all leaves."""
    scene.add_witness()
    client = scene.client(policy_of([A], 1, [URL_A]))
    for count in (3, 300, 7):
        scene.grow(count)
        client.run_once()
    size = scene.log.head()[0]
    hashes = [scene.log.entry(index).leaf.hash() for index in range(size)]
    sent = [AddCheckpoint.from_bytes(body) for _, body in scene.wires.posts]
    for request in sent[1:]:
        new = Checkpoint.from_text(parse_note(request.note_text).text).size
        assert list(request.path) == consistency_path(hashes[:new], request.old_size)
    assert parse_size(b"0\n") == sent[0].old_size
