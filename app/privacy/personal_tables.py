"""Where a person stands in the tables: how rows are found, what an export leaves out, what an erasure does. Data only.

A test finds every column that may point to a person and fails for one that is neither here nor in `NOT_PEOPLE`.
"""

from dataclasses import dataclass
from enum import StrEnum


class By(StrEnum):
    """How a column names a person."""

    NUMBER = "number"  # 7
    ACTOR = "actor"  # person:7
    EMAIL = "email"


class AtErasure(StrEnum):
    """What becomes of the rows when the person is erased."""

    DELETE = "delete"
    KEEP = "keep"  # a number that leads to nobody any more


@dataclass(frozen=True, slots=True)
class PersonalColumn:
    """A column that names a person.

    secret: columns that no export shows: hashes of tokens and what is sealed. why: for rows that stay, what for.
    """

    table: str
    column: str
    by: By
    at_erasure: AtErasure = AtErasure.DELETE
    secret: frozenset[str] = frozenset()
    why: str = ""

    def is_shown(self, name: str, *, is_key: bool) -> bool:
        """Whether an export shows the column of this name; is_key: it is of the row's primary key.

        Where a person stands as the actor the row is an organisation's business, which somebody who has left must not
        take along: her data in it is that she acted, for whom and when.
        """
        if name in self.secret:
            return False
        is_business = self.by is By.ACTOR or self.table == "jobs"
        said = {self.column, "organisation_id", "act", "at"}
        return not is_business or is_key or name in said or name.endswith("_at")

    def name_of(self, person_id: int, email: str) -> int | str:
        """What stands in this column for a person."""
        if self.by is By.EMAIL:
            return email
        return person_id if self.by is By.NUMBER else f"person:{person_id}"


_POWER = "who gave or took a power stays on record; the ledger says the same number"
_TOKEN = frozenset({"token_hash"})

PERSONAL = (
    PersonalColumn(
        "people",
        "id",
        By.NUMBER,
        AtErasure.KEEP,
        frozenset({"password_hash"}),
        "the number stays so that records that name it lead nowhere else; name, e-mail and password go",
    ),
    PersonalColumn("memberships", "person_id", By.NUMBER),
    PersonalColumn("sign_in_sessions", "person_id", By.NUMBER, secret=_TOKEN),
    PersonalColumn("sign_in_steps", "person_id", By.NUMBER, secret=_TOKEN),
    PersonalColumn("passkey_challenges", "person_id", By.NUMBER, secret=_TOKEN | {"challenge"}),
    PersonalColumn("passkeys", "person_id", By.NUMBER),
    PersonalColumn("code_apps", "person_id", By.NUMBER, secret=frozenset({"sealed_secret"})),
    PersonalColumn("recovery_codes", "person_id", By.NUMBER, secret=frozenset({"code_hash"})),
    PersonalColumn("recovery_links", "person_id", By.NUMBER, secret=_TOKEN),
    PersonalColumn("factor_resets", "person_id", By.NUMBER, secret=_TOKEN),
    PersonalColumn("factor_resets", "asked_by", By.ACTOR, AtErasure.KEEP, _TOKEN, _POWER),
    PersonalColumn("security_events", "person_id", By.NUMBER),
    PersonalColumn("device_codes", "person_id", By.NUMBER, secret=frozenset({"code_hash"})),
    PersonalColumn(
        "devices",
        "person_id",
        By.NUMBER,
        AtErasure.KEEP,
        why="scans that a device signed are checked with its key; it is revoked and loses its name",
    ),
    PersonalColumn("devices", "revoked_by", By.ACTOR, AtErasure.KEEP, why=_POWER),
    PersonalColumn("invitations", "email", By.EMAIL, secret=_TOKEN),
    PersonalColumn("invitations", "invited_by", By.ACTOR, AtErasure.KEEP, _TOKEN | {"email"}, _POWER),
    PersonalColumn("administrative_acts", "actor", By.ACTOR, AtErasure.KEEP, why=_POWER),
    PersonalColumn("api_keys", "created_by", By.ACTOR, AtErasure.KEEP, frozenset({"key_hash"}), _POWER),
    PersonalColumn("oauth_clients", "created_by", By.ACTOR, AtErasure.KEEP, frozenset({"secret_hash"}), _POWER),
    PersonalColumn("client_certificates", "created_by", By.ACTOR, AtErasure.KEEP, why=_POWER),
    PersonalColumn(
        "webhooks",
        "created_by",
        By.ACTOR,
        AtErasure.KEEP,
        frozenset({"sealed_secret", "sealed_old_secret"}),
        _POWER,
    ),
    PersonalColumn("evidence_documents", "handed_in_by", By.ACTOR, AtErasure.KEEP, frozenset({"sealed"}), _POWER),
    PersonalColumn("issuing_rights", "decided_by", By.ACTOR, AtErasure.KEEP, why=_POWER),
    PersonalColumn("organisations", "decided_by", By.ACTOR, AtErasure.KEEP, why=_POWER),
    PersonalColumn("jobs", "created_by", By.ACTOR, AtErasure.KEEP, why="who asked for goods to be commissioned"),
    PersonalColumn("jobs", "asked_by_person", By.NUMBER, AtErasure.KEEP, why="who asked for goods to be commissioned"),
    PersonalColumn("jobs", "decided_by", By.ACTOR, AtErasure.KEEP, why=_POWER),
    PersonalColumn(
        "events", "actor", By.ACTOR, AtErasure.KEEP, why="who stated an event about goods; a number, append-only"
    ),
)
"""Every column that names a person, in the order in which an export tells it."""

NOT_PEOPLE = {
    ("issuing_rights", "granted_by"): "an organisation",
    ("unit_states", "first_sold_by"): "an organisation",
    ("unit_states", "detained_by"): "an organisation",
    ("batch_states", "detained_by"): "an organisation",
}
"""Columns that look as if they named a person."""
