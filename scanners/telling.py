"""What was established of a document, in lines for a person; programs read the facts."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

TIME_WIDTH = 24
"""A time in RFC 3339 with milliseconds, so that what is beside it stands in one column."""

_SAID_OTHERWISE = frozenset({"events", "not_covered", "not_shown"})
"""Facts of a state that have a sentence of their own."""
_VERDICT = ("summary", "authenticity")
_AXES = ("status", "risk", "labour", "reasons")


def lines_of(kind: str, facts: Mapping[str, Any]) -> Iterator[str]:
    """Give the lines below "holds": sentences where the facts are no words a person reads, else name and value."""
    if kind == "receipt":
        yield from _receipt(facts)
        return
    for name, value in facts.items():
        if name not in _SAID_OTHERWISE:
            yield f"{name}: {_plain(value)}"
        elif name == "not_covered":
            yield f"{value} newer {'entry is' if value == 1 else 'entries are'} not covered"
    for event in facts.get("events", ()):
        yield event_line(event)


def not_shown(facts: Mapping[str, Any]) -> str | None:
    """Say how many entries are proved to be there but were not shown; None when all were."""
    count = facts.get("not_shown", 0)
    if not count:
        return None
    return (
        f"{count} of {len(facts['events'])} entries not shown, erased or withheld: a hold, a recall or a theft may be "
        "among them, and which entry of the ledger erased them is not shown either"
    )


def event_line(event: Mapping[str, Any]) -> str:
    """Give one line of the list of events: time, what, by whom, and where in the ledger."""
    when = event.get("time") or "-" if event["shown"] else "time not shown"
    by = f" by {event['by']}" if event.get("by") else ""
    late = "" if event["covered"] else ", after the entries among which nothing is omitted"
    return f"{when!s:{TIME_WIDTH}}  {event['what']}{by} (entry {event['index']}, {event['of']}{late})"


def moment(milliseconds: int) -> str:
    """Write milliseconds since 1970 as a date and time in UTC; as they are where no calendar reaches."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return f"{milliseconds} ms after 1970"


def _receipt(facts: Mapping[str, Any]) -> Iterator[str]:
    """Tell a receipt. Its members are signed, not checked for their kinds: whatever stands there is told as it is."""
    left = dict(facts)
    iat = left.pop("iat", None)
    when = moment(iat * 1000) if type(iat) is int else _plain(iat)
    yield f"answered by {_plain(left.pop('iss', None))} at {when}, on data of {_plain(left.pop('as_of', None))}"
    yield f"the answer: {', '.join(_plain(left.pop(name, None)) for name in _VERDICT)}"
    for name in _AXES:
        value = left.pop(name, None)
        yield f"{name}: {'not part of this answer' if value is None else _plain(value)}"
    yield f"about the code whose SHA-256 is {_plain(left.pop('code_sha256', None))}"
    scan = left.pop("scan", None)
    yield "no scan was recorded" if scan is None else f"recorded as scan {_plain(scan)}"
    nonce = left.pop("nonce", None)
    if nonce is None:
        yield "no nonce was sent: nothing tells whether this answers your question or an earlier one"
    else:
        yield f"nonce {_plain(nonce)}: compare it with the one that you sent"
    checkpoint = left.pop("checkpoint", {})
    size, root = (_plain(checkpoint.get(name)) for name in ("size", "root"))
    yield f"the ledger {_plain(checkpoint.get('origin'))} had {size} entries then, root {root}"
    yield _witnessed(left.pop("witnessed", None))
    left.pop("v", None)
    for name, value in left.items():
        yield f"{name}: {_plain(value)}"


def _witnessed(value: object) -> str:
    if not isinstance(value, dict) or not value.get("n"):
        return "the registry named no witnesses"
    enough = "enough" if value.get("quorum") is True else "not enough"
    return f"witnessed {_plain(value.get('k'))} of {_plain(value['n'])}, {enough} for the registry's policy"


def _plain(value: object) -> str:
    """Write a value as people do: nothing as such, lists with commas, and no marks of a programming language."""
    if value is None or value == []:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(one)}" for name, one in value.items())
    return str(value)
