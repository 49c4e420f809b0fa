"""The one sentence of advice, in the reader's language.

The English text is the translation key. Wording follows the EU medicines system: a suspicion is called a suspicion,
and nothing is ever called genuine. Each answer is about what was checked, not about the goods.
"""

from flask_babel import gettext

from app.core.i18n import choose_language
from app.verification.risk import DIFFERENCES
from app.verification.summary_table import PRECEDENCE, status_summary
from app.verification.verdict import AskerRole, Authenticity, Labour, Reason, Risk, Status, Summary, Verdict


def _mark(sentence: str) -> str:
    """Mark a sentence for the translators' extraction (keyword `_mark`)."""
    return sentence


AUTHENTICITY: dict[Authenticity, str] = {
    Authenticity.REGISTERED: _mark("This code is registered and nothing speaks against it in the registry's records."),
    Authenticity.SIGNATURE_VALID_NOT_CONFIRMED: _mark(
        "The code's signature is valid; check again with a connection before you rely on it."
    ),
    Authenticity.UNKNOWN_UNIT: _mark(
        "The registry never issued this code: potential suspected falsification. Set the product aside and report it."
    ),
    Authenticity.INVALID_SIGNATURE: _mark(
        "The code's signature is not valid: potential suspected falsification. Set the product aside and report it."
    ),
    Authenticity.SIGNATURE_MISSING: _mark(
        "This code carries no signature, so it can not be confirmed. Scan the full printed code."
    ),
    Authenticity.KEY_REVOKED: _mark(
        "The key of this code was revoked before the batch was registered. Ask the issuer before you rely on it."
    ),
    Authenticity.KEY_EXPIRED: _mark(
        "The key of this code had expired when the batch was registered. Ask the issuer before you rely on it."
    ),
    Authenticity.KEY_NOT_ENTITLED: _mark(
        "Whoever signed this code has no right to this product number: potential suspected falsification."
    ),
    Authenticity.FOREIGN_HOST: _mark(
        "This is not a code of this registry. Do not trust what its own link shows as proof of origin."
    ),
    Authenticity.UNREADABLE: _mark("The code could not be read. Scan it again, closer and in better light."),
    Authenticity.NOT_CHECKED: _mark("This code names no single unit, so there is nothing to check it against."),
}

STATUS: dict[Status, str] = {
    Status.STOLEN: _mark("This unit is reported stolen. Do not buy, sell or use it; report where you found it."),
    Status.SEIZED: _mark("This unit was seized by an authority and must not be in trade. Report where you found it."),
    Status.RECALLED: _mark("This unit is recalled. Do not use or sell it; return it to where you got it."),
    Status.DESTROYED: _mark(
        "This unit is recorded as destroyed: potential suspected falsification. Set it aside and report it."
    ),
    Status.LOCKED: _mark("The issuer has locked this unit. Do not sell or use it until the issuer has explained."),
    Status.HELD: _mark("An authority holds this unit. It must not move until that authority releases it."),
    Status.EXPIRED: _mark("This unit is past its expiry date. Do not use or sell it."),
    Status.EXPORTED: _mark("This unit is recorded as exported. Ask the seller how it came back to this market."),
    Status.SOLD: _mark(
        "This unit is recorded as sold. If it was sold to you, that is as it should be; if it is offered as new, do not"
        " buy it."
    ),
    Status.DISPENSED: _mark(
        "This unit is recorded as dispensed. If it was dispensed to you, that is as it should be; if it is offered as"
        " new, do not take it."
    ),
    Status.SAMPLED: _mark("This unit was taken as a sample by an authority and should not be on sale."),
    Status.NOT_ACTIVATED: _mark("This code is registered but its issuer has not released the unit for sale yet."),
    Status.NOT_KNOWN: _mark("The registry knows nothing about the state of this unit."),
}

RISK: dict[Risk, str] = {
    Risk.REVIEW: _mark("Scans of this code do not fit a single unit. Look closely before you accept it."),
    Risk.SUSPECT: _mark(
        "This code shows strong signs of having been copied: potential suspected falsification. Set the product aside"
        " and report it."
    ),
}

DIFFERENT = _mark(
    "The lot or expiry date in this code is not the registered one. Compare it with what is printed on the product"
    " before you accept it."
)
"""Said in place of the sentence for REVIEW when the code itself is the reason, not its scans."""

SUSPENDED = _mark(
    "The registry has suspended the firm that issued this code. Ask the registry before you rely on what it says."
)

LABOUR: dict[Labour, str] = {
    Labour.INCOMPLETE: _mark("What is recorded about the origin of this lot is not complete for this jurisdiction."),
    Labour.REVIEW: _mark("The origin of this lot needs a review for this jurisdiction."),
    Labour.HOLD: _mark("This lot is to be held for the forced-labour rules of this jurisdiction."),
    Labour.PROHIBITED: _mark("This lot may not enter under the forced-labour rules of this jurisdiction."),
}


def advice_key(verdict: Verdict, asker: AskerRole) -> str:
    """Choose the sentence: authenticity first, then the weightiest status that is no PASS, then risk, then labour."""
    if verdict.authenticity is not Authenticity.REGISTERED:
        return AUTHENTICITY[verdict.authenticity]
    if verdict.summary is Summary.PASS:
        return AUTHENTICITY[Authenticity.REGISTERED]
    said: list[tuple[Summary, str]] = [
        (status_summary(status, asker), STATUS[status])
        for status in PRECEDENCE
        if status in verdict.status and status_summary(status, asker) is not Summary.PASS
    ]
    if verdict.risk in RISK and verdict.risk is not None:
        own = verdict.risk is Risk.REVIEW and not DIFFERENCES.isdisjoint(verdict.reasons)
        sentence = DIFFERENT if own else RISK[verdict.risk]
        said.append((Summary.STOP if verdict.risk is Risk.SUSPECT else Summary.CHECK, sentence))
    if Reason.ISSUER_SUSPENDED in verdict.reasons:
        said.append((Summary.CHECK, SUSPENDED))
    if verdict.labour in LABOUR and verdict.labour is not None:
        said.append((verdict.summary, LABOUR[verdict.labour]))
    fitting = [sentence for summary, sentence in said if summary is verdict.summary]
    return fitting[0]


_translated: dict[tuple[str, str], str] = {}
"""Translations already looked up: a few dozen sentences in two languages, asked for at each scan."""


def advice(verdict: Verdict, asker: AskerRole) -> str:
    """Give the sentence in the language of the current request."""
    key = advice_key(verdict, asker)
    language = choose_language()
    if language == "en":
        return key
    if (language, key) not in _translated:
        _translated[language, key] = str(gettext(key))
    return _translated[language, key]
