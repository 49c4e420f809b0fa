"""What a firm does with its own key: read what it is to sign, check that it is what it asked for, sign, and seal.

The registry gives elements and serials, never a hash: the signed bytes are computed here. The tree of the batch is
grown again with them, so that the root on the ledger, which the firm seals, is over these units and no others.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.errors import LedgerError
from ledger.leaf import SECRET_SIZE, SaltedLeaves
from ledger.strict import decode_base64, encode_base64
from ledger.tiles import BATCH_HEIGHT, TileBuilder
from scanners.codes.errors import CodeError
from scanners.codes.identity import SERIAL_PATTERN, CodeIdentity, CodeKind
from scanners.codes.key_messages import possession_message, seal_message
from scanners.codes.signature import signed_message
from scanners.codes.unit_contents import UnitContents
from scanners.key_files import CodeKeyPair

SIGNATURE_SIZE = 64
MAX_UNITS = 1 << 24
MAX_KEY_ID = 2**32 - 1
MAX_ELEMENTS = 10
IN_ONE_PROCESS = 50_000
"""Up to so many units, starting more processes costs more than it saves."""
_A_TASK = 2_048
_ALLOWED_ELEMENTS = frozenset({"10", "17"})


class SigningRefused(Exception):
    """What is to be signed is not what it should be; `message` is a sentence for a person. Nothing was signed."""

    def __init__(self, message: str, *, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Order:
    """A batch to be signed, as the registry describes it.

    reference: GTIN-14, or ``<ISSUER>/<ITEM>``; empty for cases. elements: application identifiers that every code
    carries beside its identity. root: of the batch's tree, as on the ledger at `batch_log_index`.
    """

    handle: str
    issuer: str
    key_id: int
    public_key: bytes
    kind: CodeKind
    reference: str
    elements: tuple[tuple[str, str], ...]
    quantity: int
    root: bytes
    salt_secret: bytes
    batch_log_index: int

    @classmethod
    def from_members(cls, members: Mapping[str, Any]) -> "Order":
        """Read it from JSON members; raises SigningRefused for anything else than such a description."""
        try:
            return cls(
                handle=_text(members, "handle"),
                issuer=_text(members, "issuer"),
                key_id=_number(members, "key_id", MAX_KEY_ID),
                public_key=decode_base64(_text(members, "public_key"), size=32),
                kind=CodeKind(_text(members, "kind")),
                reference=_text(members, "reference"),
                elements=_elements(members),
                quantity=_number(members, "quantity", MAX_UNITS),
                root=decode_base64(_text(members, "root"), size=32),
                salt_secret=decode_base64(_text(members, "salt_secret"), size=SECRET_SIZE),
                batch_log_index=_number(members, "batch_log_index", 2**63 - 1),
            )
        except (LedgerError, CodeError, ValueError) as error:
            raise SigningRefused(f"The registry does not describe a batch: {error}") from error

    def to_members(self) -> dict[str, Any]:
        """Give the JSON members."""
        return {
            "handle": self.handle,
            "issuer": self.issuer,
            "key_id": self.key_id,
            "public_key": encode_base64(self.public_key),
            "kind": self.kind.value,
            "reference": self.reference,
            "elements": [list(pair) for pair in self.elements],
            "quantity": self.quantity,
            "root": encode_base64(self.root),
            "salt_secret": encode_base64(self.salt_secret),
            "batch_log_index": self.batch_log_index,
        }

    @property
    def lot(self) -> str | None:
        """The lot that the codes carry, None when they carry none."""
        return dict(self.elements).get("10")

    def contents(self) -> UnitContents:
        """What the signed bytes of each serial are made with."""
        return UnitContents(self.kind, self.reference, self.elements, self.key_id)

    def check(self, key: CodeKeyPair, *, gtin: str | None, lot: str | None, units: int | None) -> None:
        """Refuse the order unless it is for this key and for the goods that the person named."""
        if self.public_key != key.public_key:
            raise SigningRefused(
                f"Batch {self.handle} is to be signed with key {self.key_id}, which is not the one in this file."
            )
        named: tuple[tuple[str, object, object], ...] = (
            ("GTIN", gtin and gtin.zfill(14), self.reference if self.kind is CodeKind.GTIN else None),
            ("lot", lot, self.lot),
            ("number of units", units, self.quantity),
        )
        for name, expected, found in named:
            if expected is not None and expected != found:
                raise SigningRefused(
                    f"Batch {self.handle} has another {name} than you named: {found}, not {expected}.",
                    fix="Nothing was signed. Find out who commissioned it.",
                )

    def seal(self, key: CodeKeyPair) -> bytes:
        """The firm's signature of root and number of units: 64 bytes."""
        return key.private_key.sign(seal_message(key_id=self.key_id, root=self.root, count=self.quantity))


class Walk:
    """Goes through the serials of an order in order of position, and checks that they are the batch on the ledger.

    Serials ascend, each could stand in a code, and the tree over them has the root that the order states.
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        self._contents = order.contents()
        self._leaves = SaltedLeaves(order.salt_secret)
        self._tree = TileBuilder(BATCH_HEIGHT)
        self._last = ""

    @property
    def position(self) -> int:
        """Position of the next serial."""
        return self._tree.size

    def take(self, serials: Sequence[str]) -> None:
        """Take the next serials; raises SigningRefused when they can not be those of the batch."""
        order, at = self._order, self._tree.size
        if at + len(serials) > order.quantity:
            raise SigningRefused(f"The registry gives more than {order.quantity} serials.")
        for serial in serials:
            if not isinstance(serial, str) or serial <= self._last:
                raise SigningRefused(f"The serials are not in order at position {at}.")
            if not SERIAL_PATTERN.fullmatch(serial):
                raise SigningRefused(f"Serial {serial!r} can stand in no code.")
            self._last = serial
        # The ends of each page through the strict form: it knows every rule, and shows that the fast form is the same.
        for serial in {serials[0], serials[-1]} if serials else ():
            self._check(serial)
        contents, leaves = self._contents, self._leaves
        self._tree.extend([leaves.hash(place, contents.of(serial)) for place, serial in enumerate(serials, at)])
        self._tree.take_full()

    def finish(self) -> None:
        """Compare with the root on the ledger; raises SigningRefused."""
        if self._tree.size != self._order.quantity or self._tree.root() != self._order.root:
            raise SigningRefused(
                "The units given are not those under the root on the ledger: the batch is not sealed.",
                fix="Do not print its labels. Ask the registry, and keep what it sent.",
            )

    def _check(self, serial: str) -> None:
        order = self._order
        try:
            strict = signed_message(CodeIdentity(order.kind, order.reference, serial), order.elements, order.key_id)
        except CodeError as error:
            raise SigningRefused(f"Serial {serial!r} can stand in no code: {error.message}") from error
        if strict != self._contents.of(serial):
            raise SigningRefused("The signed bytes can be computed in two ways, and they differ: report this.")


class Signer:
    """Signs serials of one order, in this process or in several."""

    def __init__(self, key: CodeKeyPair, order: Order, pool: ProcessPoolExecutor | None) -> None:
        self._key = key.private_key
        self._contents = order.contents()
        self._pool = pool

    def sign(self, serials: Sequence[str]) -> bytes:
        """The signatures of the serials, 64 bytes each, in their order."""
        if self._pool is None:
            return _sign(self._key, self._contents, serials)
        parts = [serials[at : at + _A_TASK] for at in range(0, len(serials), _A_TASK)]
        return b"".join(self._pool.map(_sign_in_worker, parts))


@contextmanager
def signer_of(key: CodeKeyPair, order: Order, *, processes: int) -> Iterator[Signer]:
    """A signer with so many processes; one for a small batch."""
    if processes < 2 or order.quantity <= IN_ONE_PROCESS:
        yield Signer(key, order, None)
        return
    # Spawned, not forked: the program has threads by then. The key goes to the child over a pipe, never to a disk.
    with ProcessPoolExecutor(
        processes,
        mp_context=get_context("spawn"),
        initializer=_start_worker,
        initargs=(key.private_key.private_bytes_raw(), order),
    ) as pool:
        yield Signer(key, order, pool)


def possession_of(key: CodeKeyPair, *, key_id: int, issuer: str, message: bytes) -> bytes:
    """Sign the message that registers the key, once it is what it has to be; raises SigningRefused."""
    expected = possession_message(key_id=key_id, issuer=issuer, purpose="code", public_key=key.public_key)
    if message != expected:
        raise SigningRefused("The registry asks to sign something else than the possession of this key.")
    return key.private_key.sign(expected)


_worker: dict[str, Any] = {}


def _start_worker(seed: bytes, order: Order) -> None:
    _worker["key"] = Ed25519PrivateKey.from_private_bytes(seed)
    _worker["contents"] = order.contents()


def _sign_in_worker(serials: Sequence[str]) -> bytes:
    return _sign(_worker["key"], _worker["contents"], serials)


def _sign(key: Ed25519PrivateKey, contents: UnitContents, serials: Sequence[str]) -> bytes:
    sign, content = key.sign, contents.of
    return b"".join([sign(content(serial)) for serial in serials])


def _text(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    # What is shown to a person before she signs: no characters that move the cursor or hide what follows.
    if not isinstance(value, str) or len(value) > 200 or not value.isprintable():
        raise ValueError(f"{name} is missing or of the wrong type")
    return value


def _number(members: Mapping[str, Any], name: str, limit: int) -> int:
    value = members.get(name)
    if type(value) is not int or not 0 <= value <= limit:
        raise ValueError(f"{name} is missing or out of range")
    return value


def _elements(members: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    given = members.get("elements")
    if not isinstance(given, list) or len(given) > MAX_ELEMENTS:
        raise ValueError("elements is missing or of the wrong type")
    pairs = []
    for pair in given:
        if (
            not isinstance(pair, list)
            or len(pair) != 2
            or not all(isinstance(text, str) and text.isprintable() for text in pair)
        ):
            raise ValueError("an element is a pair of texts")
        if pair[0] not in _ALLOWED_ELEMENTS:
            raise ValueError(f"codes of a batch do not carry AI ({pair[0]})")
        pairs.append((pair[0], pair[1]))
    return tuple(pairs)
