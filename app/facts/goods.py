"""What an event is about."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Goods:
    """What an event is about: units of one batch, or, when none is named, the whole batch.

    issued_by: the organisation that commissioned the batch. owners: organisations by whose right it did, when that was
    not its own. uris: the canonical identity of each unit, in the order of
    unit_ids. class_uri and quantity: how EPCIS names the whole batch. subjects: what the ledger calls these units, in
    any order, which the registry knows (`registry.with_subjects`); it finds every entry about one of them.
    """

    batch_id: int
    handle: str
    issued_by: int
    class_uri: str
    quantity: int
    unit_ids: tuple[int, ...] = ()
    uris: tuple[str, ...] = ()
    subjects: tuple[bytes, ...] = ()
    owners: frozenset[int] = frozenset()

    @property
    def is_whole_batch(self) -> bool:
        """Whether the event speaks for every unit of the batch."""
        return not self.unit_ids
