"""docs/privacy.md as it follows from the register: `marchamo privacy register` prints it, and a test compares."""

from collections.abc import Iterator

from app.privacy.personal_tables import PERSONAL, AtErasure
from app.privacy.register import REGISTER, WHOSE, Whose
from app.privacy.retention_rules import DAY_MS, RULES

_HEAD = """# Privacy: what is kept about whom

Made from the tables in `app/privacy/` by `marchamo privacy register`; a test fails when this page and the code differ,
and another when a table of the database is missing here. The page /privacy says the same in English and Spanish.
"""
_MORE = """
## What makes it so
- **Places of the public** are rounded to a tenth of a degree (11 km) before they are stored, and the page does it in
  the phone already. Clone rules look for groups some 60 km apart, so nothing is lost that they need. The accuracy kept
  with the place says how far off it can be.
- **Network addresses** are never stored. Counting uses a keyed hash whose salt is random, made each day (UTC) and
  destroyed in the first minutes of the next. A backup made within the day holds that salt sealed under the
  key-encryption key, which is in no backup. Proxies and operating systems have logs of their own: that is the
  operator's to settle.
- **Sessions and the history of an account** keep the network in part (/24 of IPv4, /48 of IPv6): enough to recognise
  a stranger, no address.
- **Retention** is the worker's: once a day, in transactions of some milliseconds, begun again where it was cut off.
  `marchamo privacy sweep` does it at once. Scans lose what tells of people after `MARCHAMO_SCAN_RETENTION_DAYS`; the
  ledger says so (docs/decisions/0011-retention.md), and states of goods do not change by it.
- **Export**: /account/data gives a person all rows that name her, as a ZIP of JSON files; of rows that are an
  organisation's business (jobs, keys of machines, decisions) only that she acted, for whom and when.
- **Erasure**: a person does it herself on /account/data; for one who can not, the registry runs
  `marchamo privacy erase-person EMAIL --registry CODE --reason asked_in_writing`. The last manager of an organisation
  hands over first. Name, e-mail, password, factors, sessions and history go; the number stays and leads nowhere.
- **Somebody who is only spoken of in an event** (a note, a place) has no account. `marchamo ledger erase INDEX` takes
  the body of that entry away and leaves its hash, with every proof (docs/decisions/0007-what-can-be-erased.md).
- **Backups** made before an erasure hold what was erased until they are destroyed. Without a mail server, messages lie
  as files in `mail` in the data folder: whoever runs the service removes them.
"""


def register_document() -> str:
    """The page in Markdown, in English."""
    return "\n".join([_HEAD, *_kept(), _MORE, *_rows_of_people(), "", *_times()]) + "\n"


def _kept() -> Iterator[str]:
    yield "| about | what | what for | tables | how long | who sees it |"
    yield "|---|---|---|---|---|---|"
    for whose in Whose:
        for one in REGISTER:
            if one.whose is whose:
                tables = ", ".join(f"`{table}`" for table in one.where)
                yield f"| {WHOSE[whose]} | {one.what} | {one.purpose} | {tables} | {one.long} | {one.seen_by} |"


def _rows_of_people() -> Iterator[str]:
    yield "## Where a person is named, and what an erasure does there"
    yield "| column | at erasure |"
    yield "|---|---|"
    for column in PERSONAL:
        fate = "rows are deleted" if column.at_erasure is AtErasure.DELETE else f"stays: {column.why}"
        yield f"| `{column.table}.{column.column}` | {fate} |"


def _times() -> Iterator[str]:
    yield "## When rows go by themselves"
    yield "| time | days after it |"
    yield "|---|---|"
    for rule in RULES:
        yield f"| `{rule.table}.{rule.column}` | {rule.kept_ms // DAY_MS} |"
