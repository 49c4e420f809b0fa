"""A published log in a folder for the outside judges, and every way in which somebody might change it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.export import export
from ledger.log import Log, NewEntry
from ledger.merkle import EMPTY_ROOT, HASH_SIZE
from ledger.storage.engine import begin_write, create_database_engine
from ledger.storage.tables import create_schema
from ledger.tiles import format_entry_bundle, parse_entry_bundle, parse_tile_path
from tests.log_builders import new_entry
from tests.small_log import ORIGIN, signer

FLIPS_A_FILE = 25


@dataclass(frozen=True)
class Published:
    """A log as it was exported several times into one folder, and the checkpoints that somebody kept meanwhile."""

    folder: Path
    size: int
    kept: tuple[Path, ...]

    def files(self) -> list[str]:
        """Names of all files of the log, relative to the folder."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())

    def leaf(self, index: int) -> bytes:
        """A leaf from its bundle."""
        first = index // 256 * 256
        width = min(256, self.size - first)
        name = f"{index // 256:03d}" if width == 256 else f"{index // 256:03d}.p/{width}"
        return parse_entry_bundle((self.folder / "tile/entries" / name).read_bytes(), width)[index - first]


@contextmanager
def real_log(folder: Path) -> Iterator[Log]:
    """An empty log in a database in this folder."""
    engine = create_database_engine(f"sqlite:///{folder / 'log.sqlite'}", durable=False)
    with begin_write(engine) as connection:
        create_schema(connection)
    yield Log.open(engine, origin=ORIGIN, signer=signer())
    engine.dispose()


def entry(number: int) -> NewEntry:
    """An entry about one to four subjects, so that leaves differ in length."""
    subjects = sorted(
        sha256(f"subject {number % (7 + other)} {other}".encode()).digest() for other in range(number % 4 + 1)
    )
    return replace(new_entry(number), subjects=tuple(subjects))


def grow(log: Log, size: int) -> None:
    """Append entries up to this size and publish a checkpoint of it."""
    start = log.head()[0]
    for first in range(start, size, 200):
        log.append_many([entry(number) for number in range(first, min(size, first + 200))])
    log.checkpoint(at_least=size)


def publish(folder: Path, sizes: tuple[int, ...]) -> Published:
    """Let a log grow over these sizes; export it at each, and keep each checkpoint but the last."""
    kept = []
    with real_log(folder) as log:
        for size in sizes:
            grow(log, size)
            export(log, folder / "published")
            kept.append(folder / f"checkpoint-{size}")
            kept[-1].write_bytes((folder / "published/checkpoint").read_bytes())
    return Published(folder / "published", sizes[-1], tuple(kept[:-1]))


@dataclass(frozen=True)
class Change:
    """One file of the folder gets other bytes; None removes it."""

    name: str
    file: str
    data: bytes | None


@contextmanager
def changed(published: Published, change: Change) -> Iterator[None]:
    """The folder with the change in it, for as long as the context lasts."""
    path = published.folder / change.file
    original = path.read_bytes() if path.exists() else None
    assert change.data != original, change.name
    if change.data is None:
        path.unlink()
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(change.data)
    try:
        yield
    finally:
        if original is None:
            path.unlink()
        else:
            path.write_bytes(original)


def changes(published: Published, flips: int = FLIPS_A_FILE) -> Iterator[Change]:
    """Every change that an auditor has to find, with so many flipped bits a file."""
    yield from _changed_checkpoints(published, flips)
    names = [name for name in published.files() if name != "checkpoint"]
    for name in names:
        data = (published.folder / name).read_bytes()
        yield from _changed_bytes(name, data, flips)
        level, _, width = parse_tile_path(name)
        if level == "entries":
            yield from _changed_bundles(name, data, 256 if width is None else width)
        else:
            yield from _changed_tiles(name, data)
    for name, other in zip(names, names[1:] + names[:1], strict=True):
        yield Change("another file's content", name, (published.folder / other).read_bytes())
    for name in needed_files(published):
        yield Change("removed", name, None)
    last = names[-1]
    yield Change("a tile beyond the checkpoint", "tile/0/x001/000", (published.folder / last).read_bytes())
    yield Change("a level that no tree has", "tile/9/000", bytes(256 * HASH_SIZE))
    yield Change("another spelling of a path", "tile/0/0", (published.folder / names[0]).read_bytes())


def needed_files(published: Published) -> list[str]:
    """What a log of this size must have: full tiles, and the partial ones of the current size."""
    names = []
    for name in published.files():
        if name == "checkpoint":
            continue
        level, index, width = parse_tile_path(name)
        count = published.size >> (0 if level == "entries" else 8 * int(level))
        if width is None or (index == count >> 8 and width == count & 255):
            names.append(name)
    return names


def _changed_checkpoints(published: Published, flips: int) -> Iterator[Change]:
    note = (published.folder / "checkpoint").read_bytes()
    text = note.decode()
    yield from _changed_bytes("checkpoint", note, flips)
    origin, size, root, *rest = text.split("\n")
    forged = Checkpoint(ORIGIN, published.size, sha256(b"forged").digest())
    stranger = signer("log.example/stranger")
    texts = {
        "another size": "\n".join([origin, str(published.size - 1), root, *rest]),
        "size in another spelling": "\n".join([origin, f"0{size}", root, *rest]),
        "another root": "\n".join([origin, size, forged.to_text().split("\n")[2], *rest]),
        "another origin": "\n".join(["log.example/other", size, root, *rest]),
        "an extension line added": "\n".join([origin, size, root, "more", *rest]),
        "lines in another order": "\n".join([size, origin, root, *rest]),
        "line ends of another system": text.replace("\n", "\r\n"),
        "no signature": text.partition("\n\n")[0] + "\n\n",
        "signed by a stranger": sign_checkpoint(Checkpoint(ORIGIN, published.size, forged.root), stranger).note_text,
        "signed in a stranger's name": sign_checkpoint(
            Checkpoint(stranger.name, published.size, forged.root), stranger
        ).note_text,
        "signed by the log, of another tree": sign_checkpoint(forged, signer()).note_text,
        "signed by the log, larger than it is": sign_checkpoint(
            Checkpoint(ORIGIN, published.size + 1, forged.root), signer()
        ).note_text,
        "signed by the log, empty": sign_checkpoint(Checkpoint(ORIGIN, 0, EMPTY_ROOT), signer()).note_text,
        "rolled back to an older one": published.kept[-1].read_text(),
    }
    for name, other in texts.items():
        yield Change(name, "checkpoint", other.encode())
    yield Change("removed", "checkpoint", None)


def _changed_bytes(name: str, data: bytes, flips: int) -> Iterator[Change]:
    chosen = random.Random(name)  # noqa: S311  -- a fixed choice, no secret
    bits = chosen.sample(range(len(data) * 8), min(flips, len(data) * 8))
    for bit in bits:
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        yield Change(f"bit {bit} flipped", name, bytes(flipped))
    yield Change("emptied", name, b"")
    yield Change("the last byte cut off", name, data[:-1])
    yield Change("a byte added", name, data + b"\x00")
    yield Change("twice", name, data + data)


def _changed_tiles(name: str, data: bytes) -> Iterator[Change]:
    yield Change("the last hash cut off", name, data[:-HASH_SIZE])
    yield Change("a hash added", name, data + data[:HASH_SIZE])
    yield Change("a hash of zeros", name, bytes(HASH_SIZE) + data[HASH_SIZE:])
    if len(data) > HASH_SIZE:
        yield Change(
            "two hashes swapped", name, data[HASH_SIZE : 2 * HASH_SIZE] + data[:HASH_SIZE] + data[2 * HASH_SIZE :]
        )


def _changed_bundles(name: str, data: bytes, width: int) -> Iterator[Change]:
    leaves = parse_entry_bundle(data, width)
    edits: dict[str, Callable[[bytes], bytes]] = {
        "a leaf of another version": lambda leaf: b"\x01" + leaf[1:],
        "a leaf after another": lambda leaf: leaf[:1] + bytes(32) + leaf[33:] if leaf[1:33] != bytes(32) else leaf[:-1],
        "a leaf with another commitment": lambda leaf: leaf[:33] + bytes(32) + leaf[65:],
        "a leaf with a tag more": lambda leaf: leaf + bytes(16),
        "a leaf with a tag less": lambda leaf: leaf[:-16],
        "a leaf with another tag": lambda leaf: leaf[:-16] + bytes(16),
        "an empty leaf": lambda leaf: b"",
    }
    for at in sorted({0, width // 2, width - 1}):
        for what, edit in edits.items():
            yield Change(
                f"{what} at {at}", name, format_entry_bundle([*leaves[:at], edit(leaves[at]), *leaves[at + 1 :]])
            )
        yield Change(f"leaf {at} left out", name, format_entry_bundle(leaves[:at] + leaves[at + 1 :]))
        yield Change(f"leaf {at} twice", name, format_entry_bundle(leaves[: at + 1] + leaves[at:]))
    if width > 1:
        yield Change("two leaves swapped", name, format_entry_bundle([leaves[1], leaves[0], *leaves[2:]]))
    yield Change("one length too long", name, (len(leaves[0]) + 1).to_bytes(2, "big") + data[2:])
    yield Change("one length too short", name, (len(leaves[0]) - 1).to_bytes(2, "big") + data[2:])


def false_witnesses(published: Published, folder: Path) -> Iterator[tuple[str, Path]]:
    """Checkpoints signed by the log itself that contradict what it publishes: each proves that it lied."""
    forged = sha256(b"another history").digest()
    for size in (1, 3, 128, 255, 256, 257, published.size - 1, published.size, published.size + 1, 2**40):
        path = folder / f"false-{size}"
        path.write_text(sign_checkpoint(Checkpoint(ORIGIN, size, forged), signer()).note_text)
        yield f"another root at {size}", path
