"""What is kept about whom: one table, from which docs/privacy.md and the page /privacy are made. Data only.

Every table of the database is named by one of its rows; a test finds those that are not.
"""

from dataclasses import dataclass
from enum import StrEnum

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString


class Whose(StrEnum):
    """About whom something tells."""

    VISITOR = "visitor"
    MEMBER = "member"
    FIRM = "firm"
    NOBODY = "nobody"


WHOSE: dict[Whose, LazyString] = {
    Whose.VISITOR: _("Whoever checks a code"),
    Whose.MEMBER: _("People with an account"),
    Whose.FIRM: _("Firms and authorities"),
    Whose.NOBODY: _("Nobody"),
}


@dataclass(frozen=True, slots=True)
class Kept:
    """One kind of data. where: its tables, or a place outside the database. long: how long it is kept."""

    whose: Whose
    what: LazyString
    purpose: LazyString
    where: tuple[str, ...]
    long: LazyString
    seen_by: LazyString


_UNTIL_ERASED = _("until the account is erased")
_ALWAYS = _("for good: the ledger can not be shortened")
_ONESELF = _("the person alone")
_NOBODY_SEES = _("nobody; it is compared, not shown")
_ORGANISATION = _("the organisation's managers and auditors")
_EVERYBODY = _("everybody")

REGISTER = (
    Kept(
        Whose.VISITOR,
        _("A scan: the code, the time, and the place rounded to 11 km if the phone was allowed to tell it"),
        _("to find copies: one code seen in two far places is no accident"),
        ("scans",),
        _("in this form for two years, unless the registry sets another time; then without device"),
        _("the maker of the goods and authorities, as points on a map"),
    ),
    Kept(
        Whose.VISITOR,
        _("A mark instead of the network address, made with a secret that changes every day and is then destroyed"),
        _("to count devices and to slow down guessing"),
        ("attempts", "tallies", "daily_salts"),
        _("the counts for hours; with the day's secret gone nobody can find the address behind a mark, we included"),
        _NOBODY_SEES,
    ),
    Kept(
        Whose.VISITOR,
        _("Alarms about guessing, under such a mark"),
        _("to see an attack"),
        ("alarms",),
        _("a year"),
        _("the registry's administrators"),
    ),
    Kept(
        Whose.MEMBER,
        _("Name, e-mail address, language, and the password as a hash that does not lead back to it"),
        _("to sign in and to be written to"),
        ("people", "memberships"),
        _UNTIL_ERASED,
        _("the person, and managers of the same organisation; the password nobody"),
    ),
    Kept(
        Whose.MEMBER,
        _("Passkeys, the app for codes, recovery codes"),
        _("so that a stolen password is not enough"),
        ("passkeys", "code_apps", "recovery_codes", "factor_resets"),
        _("until they are removed; a request to remove them for 90 days"),
        _("the person; a request to remove them also managers of the same organisation and the registry"),
    ),
    Kept(
        Whose.MEMBER,
        _("Where one is signed in: family of browser, network in part (never the whole address), times"),
        _("so that one finds a stranger in one's account"),
        ("sign_in_sessions", "sign_in_steps", "passkey_challenges", "recovery_links"),
        _("until the session or the link ends, twelve hours at most"),
        _ONESELF,
    ),
    Kept(
        Whose.MEMBER,
        _("History of the account: sign-ins, failures, changes of factors, with browser and network in part"),
        _("so that one sees what happened to one's account"),
        ("security_events",),
        _("180 days"),
        _ONESELF,
    ),
    Kept(
        Whose.MEMBER,
        _("Messages to you until they are sent"),
        _("to write to you"),
        ("outgoing_mail",),
        _("until sent, two days at most; sealed"),
        _NOBODY_SEES,
    ),
    Kept(
        Whose.MEMBER,
        _("Applications and invitations that were not answered yet"),
        _("to join"),
        ("applications", "invitations"),
        _("applications a day, invitations 30 days after their end"),
        _("managers of the organisation that invites"),
    ),
    Kept(
        Whose.MEMBER,
        _("Devices for scanning: their name and public key, and what they signed"),
        _("so that a scan can be trusted"),
        ("devices", "device_codes", "device_statements", "device_conflicts"),
        _("the key for good; what was signed as long as scans in full; the name until the account is erased"),
        _("the person and managers of the organisation"),
    ),
    Kept(
        Whose.MEMBER,
        _("Who gave or took a power, and who stated an event about goods: a number, never a name"),
        _("so that power can be accounted for"),
        ("administrative_acts", "events", "event_units"),
        _ALWAYS,
        _ORGANISATION,
    ),
    Kept(
        Whose.MEMBER,
        _("A professional scan: also device, exact place, organisation and what the person was shown"),
        _("evidence in a case of forgery"),
        ("scans",),
        _("in full for two years, unless the registry sets another time; then like a visitor's"),
        _("the organisation that scanned, the maker of the goods and authorities"),
    ),
    Kept(
        Whose.FIRM,
        _("Name, country, decisions, rights to numbers and the documents that prove them"),
        _("so that everybody can know who may issue codes"),
        ("organisations", "issuing_rights", "evidence_documents", "organisation_keys", "key_registrations"),
        _ALWAYS,
        _("everybody; the documents only the firm and the registry"),
    ),
    Kept(
        Whose.FIRM,
        _("Products, batches, units and their states"),
        _("what the registry is for"),
        (
            *("products", "batches", "batch_states", "batch_tiles", "batch_signings", "serial_files"),
            *("units", "unit_states", "unit_signatures"),
        ),
        _("as long as goods can be in trade"),
        _("the firm; of a unit whoever holds its code"),
    ),
    Kept(
        Whose.FIRM,
        _("Machines: API keys, clients, certificates and tokens, as hashes or public keys, and the day of last use"),
        _("so that systems can work for the firm"),
        (
            "api_keys",
            "oauth_clients",
            "client_certificates",
            "access_tokens",
            "machine_uses",
            "token_ids",
            "device_rules",
        ),
        _("tokens until they end; the others stay as a record"),
        _ORGANISATION,
    ),
    Kept(
        Whose.FIRM,
        _("Work that was asked for, and label sheets"),
        _("to make codes and labels"),
        ("jobs",),
        _("label sheets 30 days; the record of the work stays"),
        _("the firm"),
    ),
    Kept(
        Whose.FIRM,
        _("Notices and their delivery to the firm's own address"),
        _("so that the firm learns what happened"),
        ("notices", "webhooks", "webhook_deliveries"),
        _("notices 90 days, deliveries 30 days after they ended"),
        _("the firm"),
    ),
    Kept(
        Whose.NOBODY,
        _("The ledger, its keys, and what it says of scans: hashes that name nobody"),
        _("so that nobody can rewrite what was recorded, the registry included"),
        ("scan_commitments", "scan_redactions", "scan_secrets", "service_keys", "derivation_roots", "retention_rounds"),
        _ALWAYS,
        _EVERYBODY,
    ),
)
"""Everything that is kept."""
