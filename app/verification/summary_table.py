"""The one published table that sums a verdict up: axis values times the role of the asker, PASS, CHECK or STOP.

Each axis contributes one word and the strictest wins. An axis that was not evaluated contributes nothing: it neither
spoils nor makes a PASS. The table is total: `summarise` answers for every combination, and a test asks all of them.
"""

from collections.abc import Collection

from app.verification.verdict import AskerRole, Authenticity, Labour, Reason, Risk, Status, Summary

PASS, CHECK, STOP = Summary.PASS, Summary.CHECK, Summary.STOP

AUTHENTICITY: dict[Authenticity, Summary] = {
    Authenticity.REGISTERED: PASS,
    Authenticity.SIGNATURE_VALID_NOT_CONFIRMED: CHECK,
    Authenticity.UNKNOWN_UNIT: STOP,
    Authenticity.INVALID_SIGNATURE: STOP,
    Authenticity.SIGNATURE_MISSING: CHECK,
    Authenticity.KEY_REVOKED: CHECK,
    Authenticity.KEY_EXPIRED: CHECK,
    Authenticity.KEY_NOT_ENTITLED: STOP,
    Authenticity.FOREIGN_HOST: CHECK,
    Authenticity.UNREADABLE: CHECK,
    Authenticity.NOT_CHECKED: CHECK,
}

STATUS: dict[Status, Summary] = {
    Status.ACTIVE: PASS,
    Status.RETURNED: PASS,
    Status.NOT_ACTIVATED: CHECK,
    Status.SOLD: CHECK,
    Status.DISPENSED: CHECK,
    Status.EXPORTED: CHECK,
    Status.SAMPLED: CHECK,
    Status.NOT_KNOWN: CHECK,
    Status.EXPIRED: STOP,
    Status.HELD: STOP,
    Status.LOCKED: STOP,
    Status.DESTROYED: STOP,
    Status.RECALLED: STOP,
    Status.SEIZED: STOP,
    Status.STOLEN: STOP,
}

STATUS_FOR: dict[AskerRole, dict[Status, Summary]] = {
    # Who checks goods on their way expects what a shop or a consumer must be told.
    AskerRole.INSPECTOR: {Status.EXPORTED: PASS},
    AskerRole.CUSTOMS: {Status.EXPORTED: PASS, Status.NOT_ACTIVATED: PASS},
}

RISK: dict[Risk, Summary] = {Risk.NONE: PASS, Risk.NOTE: PASS, Risk.REVIEW: CHECK, Risk.SUSPECT: STOP}

LABOUR: dict[Labour, Summary] = {
    Labour.NO_ADVERSE_FINDING: PASS,
    Labour.INCOMPLETE: CHECK,
    Labour.REVIEW: CHECK,
    Labour.HOLD: STOP,
    Labour.PROHIBITED: STOP,
}

REASONS: dict[Reason, Summary] = {Reason.ISSUER_SUSPENDED: CHECK}
"""Reasons that count by themselves: no axis says who stands behind a unit today."""

SEES_LABOUR = frozenset({AskerRole.CUSTOMS})
"""The only askers whose answer has a labour axis."""

PRECEDENCE: tuple[Status, ...] = (
    Status.STOLEN,
    Status.SEIZED,
    Status.RECALLED,
    Status.DESTROYED,
    Status.LOCKED,
    Status.HELD,
    Status.EXPIRED,
    Status.EXPORTED,
    Status.SOLD,
    Status.DISPENSED,
    Status.SAMPLED,
    Status.NOT_ACTIVATED,
    Status.RETURNED,
    Status.NOT_KNOWN,
    Status.ACTIVE,
)
"""Which status the one sentence speaks of when there are several."""

_STRICTNESS = {PASS: 0, CHECK: 1, STOP: 2}


def status_summary(status: Status, asker: AskerRole) -> Summary:
    """Give what one status contributes for this asker."""
    return STATUS_FOR.get(asker, {}).get(status, STATUS[status])


def summarise(
    *,
    authenticity: Authenticity,
    status: Collection[Status],
    risk: Risk | None,
    labour: Labour | None,
    asker: AskerRole,
    reasons: Collection[Reason] = (),
) -> Summary:
    """Sum the axes up for `asker`; None means that the axis was not evaluated. Of the reasons `REASONS` count too."""
    words = [AUTHENTICITY[authenticity]]
    words += [REASONS[reason] for reason in reasons if reason in REASONS]
    words += [status_summary(one, asker) for one in status]
    if risk is not None:
        words.append(RISK[risk])
    if labour is not None and asker in SEES_LABOUR:
        words.append(LABOUR[labour])
    return max(words, key=_STRICTNESS.__getitem__)
