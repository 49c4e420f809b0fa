"""The public leaves tell a stranger nothing: not what an entry is about, and not which entries are about the same.

The stranger has our program, every GTIN, serial, code text, handle, lot and name, every public key, and all leaves of
the log. What he lacks are the registry's key and the salts that the proofs of units carry.
"""

from __future__ import annotations

import hashlib
import hmac
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core.clock import now_ms
from app.core.service_keys import KeyPurpose
from app.core.services import Services
from app.facts import service as facts
from app.facts.vocabulary import EventKind
from app.registry import service as registry
from ledger.leaf import Leaf, subject_tag
from ledger.map.state_proof import UNIT_SUBJECT, unit_subject
from ledger.own import OwnKind, own_subject
from scanners.codes.identity import CodeIdentity, CodeKind
from tests.app.registry.registry_builders import commissioned, make_firm
from tests.builders import gtin, on_sqlite

pytestmark = on_sqlite

UNITS = 200
EVENTS = (EventKind.ACTIVATED, EventKind.EXPORTED, EventKind.RETURNED, EventKind.STOLEN, EventKind.LOCKED)
"""Five events a unit: 1,000 leaves."""


class History:
    """1,000 events of 200 units in random order, and some of the whole batch."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.firm = make_firm(services)
        request = registry.CommissionRequest(product=self.firm.product.reference, quantity=UNITS, lot="L-7")
        self.batch = commissioned(services, self.firm.organisation, request)
        with Session(services.engine) as session:
            self.codes = list(
                registry.codes_of_batch(
                    session, services.sealer, self.batch, stem="https://id.test", start=0, count=None
                )
            )
            self.serials = [registry.serial_at(session, self.batch, number) for number in range(UNITS)]
            self.signer = accounts.statement_signer(session, services.sealer, organisation_id=self.firm.id)
        goods = registry.goods_of_batch(self.batch)
        self.about: dict[int, int] = {}
        """Leaf -> unit, the truth that the stranger wants."""
        steps = [(unit, event) for unit in range(UNITS) for event in EVENTS]
        random.Random(20261124).shuffle(steps)  # noqa: S311 -- repeatable
        for unit, event in steps:
            unit_id = self.batch.id << 24 | unit
            one = replace(goods, unit_ids=(unit_id,), uris=(f"urn:unit:{unit}",))
            self.about[self.record(event, registry.with_subjects(services, one))] = unit
        for event in (EventKind.ACTIVATED, EventKind.LOCKED, EventKind.RECALLED):
            self.record(event, goods)

    def record(self, kind: EventKind, goods: facts.Goods) -> int:
        return facts.record_event(
            self.services,
            kind=kind,
            organisation_id=self.firm.id,
            issuer=self.firm.organisation.issuer,
            signer=self.signer,
            actor="person:1",
            goods=goods,
            jurisdiction=frozenset(),
            event_time=now_ms(),
        ).log_index

    def leaves(self) -> list[Leaf]:
        return [self.services.log.entry(index).leaf for index in range(self.services.log.head()[0])]

    def known_names(self) -> Iterator[bytes]:
        """Whatever a stranger can read off a label, a shelf or a public page, in the forms that our program uses."""
        issuer, handle = self.firm.organisation.issuer, self.batch.handle
        texts = [issuer, handle, self.firm.organisation.name, "L-7", self.firm.product.reference]
        texts += [gtin(item) for item in range(1, 50)]
        texts += [code.text for code in self.codes] + self.serials
        texts += [f"{gtin()}/{serial}" for serial in self.serials]
        texts += [f"batch:{handle}", f"organisation:{issuer}"]
        with Session(self.services.engine) as session:
            for key in accounts.list_keys(session, organisation_id=self.firm.id):
                yield key.public_key
                texts += [f"key:{key.key_id}", str(key.key_id)]
        yield from (text.encode() for text in texts)
        yield from (unit.to_bytes(8, "big") for unit in range(UNITS))

    def known_keys(self) -> list[bytes]:
        """Bytes that a stranger may take for the key of an HMAC: public ones."""
        own = [self.services.keys[purpose].public_key.public_bytes_raw() for purpose in KeyPurpose]
        return [*own, b"", bytes(32), b"ledger subject", UNIT_SUBJECT, self.batch.handle.encode()]


def guessed_subjects(history: History) -> Iterator[bytes]:
    keys = history.known_keys()
    for name in history.known_names():
        yield name[:32].ljust(32, b"\0")
        yield hashlib.sha256(name).digest()
        for key in keys:
            yield hmac.digest(key, name, "sha256")
            yield hmac.digest(name, key, "sha256")
            yield unit_subject(hmac.digest(key, name, "sha256"))


def test_a_stranger_finds_no_entry_by_all_he_knows_and_links_no_two_better_than_chance(services: Services) -> None:
    history = History(services)
    leaves = history.leaves()
    tags = {tag for leaf in leaves for tag in leaf.tags}
    own = {subject_tag(own_subject(kind), number) for kind in OwnKind for number in range(10)}
    guesses = set(guessed_subjects(history))
    assert len(guesses) > 10_000
    hits = [guess for guess in guesses for number in range(3) if subject_tag(guess, number) in tags - own]
    assert hits == []
    # The same search by whoever holds a unit's proof finds its five entries and nothing else.
    bundle = registry.unit_proof(services, _unit(history, 17))
    subject = unit_subject(bundle.unit_salt)
    found = services.log.entries_of(subject)
    assert found == sorted(index for index, unit in history.about.items() if unit == 17)
    assert len(found) == len(EVENTS)
    for likeness in (_shared_bits, _shared_prefix, _shared_bytes):
        for part in (_tag, _commitment):
            assert links(history, leaves, part, likeness) < 16


def links(
    history: History,
    leaves: Sequence[Leaf],
    part: Callable[[Leaf], int],
    likeness: Callable[[int, int], float],
) -> int:
    """Count the leaves whose most similar other leaf is about the same unit; by chance 4 of 1,000, rarely over 12."""
    values = {index: part(leaves[index]) for index in history.about}
    right = 0
    for index, value in values.items():
        best = max((other for other in values if other != index), key=lambda other: likeness(value, values[other]))
        right += history.about[best] == history.about[index]
    return right


def _tag(leaf: Leaf) -> int:
    return int.from_bytes(leaf.tags[0], "big")


def _commitment(leaf: Leaf) -> int:
    return int.from_bytes(leaf.commitment[:16], "big")


def _shared_bits(one: int, other: int) -> float:
    return -(one ^ other).bit_count()


def _shared_prefix(one: int, other: int) -> float:
    return -(one ^ other).bit_length()


def _shared_bytes(one: int, other: int) -> float:
    return ((one ^ other).to_bytes(16, "big")).count(0)


def _unit(history: History, number: int) -> registry.Unit:
    with Session(history.services.engine) as session:
        unit = registry.find_unit(session, CodeIdentity(CodeKind.GTIN, gtin(), history.serials[number]))
    assert unit is not None
    return unit
