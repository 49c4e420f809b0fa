"""Check codes by text or photo, and say what is done with the unit in the hand."""

import re
import secrets
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, render_template, request, session
from werkzeug.datastructures import FileStorage

from app.accounts import service as accounts
from app.core.authorisation import ANONYMOUS, Permission, Principal, current_principal, public, requires
from app.core.csrf import acts_for_nobody
from app.core.database import request_session
from app.core.errors import AppError, Invalid, Malformed, TooLarge
from app.core.services import services
from app.facts.vocabulary import EVENT_RULES
from app.verification import service as verification
from app.verification.actions import EVENT_OF, Action
from app.verification.answer import VerdictAnswer
from app.verification.limits import refuse_flood
from app.verification.request import ScanRequest
from app.verification.verdict import Summary
from scanners.images import ImageError, read_symbols

blueprint = Blueprint("check_pages", __name__)

MAX_PHOTO = 10 * 1024 * 1024
MAX_CODE = 2048
MAX_FOUND = 20
"""Codes of one photo that are looked up."""
PDF_MAGIC = b"%PDF-"
_KEY = re.compile(r"[0-9a-f]{24}")
_COUNTRY = re.compile(r"[A-Z]{2}")
LAST_COUNTRY = "country"
"""Name of the browser session's member that remembers the country of the last act."""

ONE_TAP = (Action.SELL, Action.DISPENSE, Action.RETURN, Action.HOLD, Action.SEIZE, Action.RELEASE)
"""Acts offered beside a verdict, in this order, to those who may do them."""


@dataclass(frozen=True, slots=True)
class Found:
    """A code of a photo and what the registry says to it."""

    text: str
    summary: Summary


@blueprint.url_value_preprocessor
def allow_photos(endpoint: str | None, _values: dict[str, Any] | None) -> None:
    """Let photos be larger than other bodies; told here, before the check of the form's token reads the body."""
    if endpoint == f"{blueprint.name}.{check.__name__}":
        request.max_content_length = MAX_PHOTO + 64 * 1024


@blueprint.get("/check")
@public
def check_form() -> str:
    """Show the ways to check a code."""
    return _form(None)


@blueprint.post("/check")
@public
def check() -> str | tuple[str, int]:
    """Answer for the code of a text, or for the codes of a photo; records nothing by itself."""
    refuse_flood(services(), request.remote_addr)
    photo = request.files.get("photo")
    text = request.form.get("code", "").strip()
    try:
        if photo is not None and photo.filename:
            return _answer_photo(photo)
        if not text:
            raise Invalid("Choose a photo, or paste the text of the code.")
        if len(text) > MAX_CODE:
            raise TooLarge("A code has at most %(limit)s characters.", limit=MAX_CODE)
        return _verdict(_look(text), text)
    except Malformed:
        # Why exactly is for technicians (the API says it); a person needs to know what to do.
        error = Malformed(
            "This text is not a code that this registry can read.",
            fix="Paste the whole link from the code, or take a photo of the label.",
        )
        return _form(error, text), int(error.status)
    except AppError as error:
        return _form(error, text[:MAX_CODE]), int(error.status)


@blueprint.post("/seen")
@public
@acts_for_nobody
def seen() -> str:
    """Record that somebody saw this unit, as the public: the verdict page's way where no script runs."""
    refuse_flood(services(), request.remote_addr)
    text = request.form.get("code", "")[:MAX_CODE].strip()
    answer = verification.verify(
        services(),
        text=text,
        principal=ANONYMOUS,
        request=ScanRequest(key=_plain_key(), remote_address=request.remote_addr or ""),
    )
    return _verdict(answer, text)


@blueprint.post("/act")
@requires(Permission.VERIFY_PROFESSIONAL)
def act() -> str:
    """Record one act with one unit, as one scan and one event, and show what came of it."""
    named = request.form.get("action", "")
    if named not in {action.value for action in ONE_TAP}:
        raise Invalid("This page does not know that act.")
    text = request.form.get("code", "")[:MAX_CODE].strip()
    country = _country()
    if country is not None:
        session[LAST_COUNTRY] = country
    answer = verification.verify_and_act(
        services(),
        text=text,
        principal=current_principal(),
        request=ScanRequest(
            action=Action(named),
            key=_plain_key(),
            country=country,
            remote_address=request.remote_addr or "",
        ),
    )
    return _verdict(answer, text)


def countries_to_choose() -> list[str]:
    """Give the countries among which the caller has to name the one it acts in; none where there is no choice."""
    principal = current_principal()
    if principal.organisation_id is None or not principal.may(Permission.UNIT_DETAIN):
        return []
    countries = accounts.organisation_by_id(request_session(), principal.organisation_id).jurisdiction
    return sorted(countries) if len(countries) > 1 else []


def last_country() -> str | None:
    """Give the country that was named last in this browser: whoever stands at a bridge stands there all day."""
    return session.get(LAST_COUNTRY)


def _country() -> str | None:
    """Give the country of the form that was sent, None where it named none."""
    country = request.form.get("country", "")
    if not country:
        return None
    if not _COUNTRY.fullmatch(country):
        raise Invalid("A country is its two-letter ISO 3166-1 code, such as MX.", code="country")
    return country


def acts_for(answer: VerdictAnswer) -> list[Action]:
    """Give the acts to offer the caller beside a verdict: none where there is no registered unit."""
    return [] if answer.unit is None or answer.action is not None else acts_of(current_principal())


def acts_of(principal: Principal) -> list[Action]:
    """Give the acts that the caller may do with a unit in the hand."""
    return [action for action in ONE_TAP if principal.may(EVENT_RULES[EVENT_OF[action]].permission)]


def new_key() -> str:
    """Make the key of one form, so that sending it twice records once."""
    return secrets.token_hex(12)


def _plain_key() -> str | None:
    """Give the key of the form that was sent; none when it is not as `new_key` makes them."""
    key = request.form.get("once", "")
    return key if _KEY.fullmatch(key) else None


def _verdict(answer: VerdictAnswer, text: str) -> str:
    return render_template("verification/verdict.html", answer=answer, text=text)


def _form(error: AppError | None, code: str = "") -> str:
    return render_template("portal/check.html", error=error, code=code)


def _answer_photo(photo: FileStorage) -> str:
    content = photo.stream.read(MAX_PHOTO + 1)
    if len(content) > MAX_PHOTO:
        raise TooLarge("The photo is larger than 10 MB.", fix="Take it again with a lower resolution.")
    if content.startswith(PDF_MAGIC):
        # PDFium has no time limit of its own, so a page that anybody can reach reads pictures only.
        raise Invalid("This is a PDF, not a photo.", fix="Take a photo or a screenshot of the label.")
    try:
        symbols = read_symbols(content)
    except ImageError as error:
        raise Invalid(
            "The photo cannot be read.", code=error.code, fix="Choose a JPEG, PNG or WebP picture."
        ) from error
    texts = list(dict.fromkeys(symbol.scanner_text for symbol in symbols))
    if not texts:
        raise Invalid(
            "There is no readable code in the photo.",
            code="no_code",
            fix="Go closer, hold still, avoid reflections, and take the photo again.",
        )
    looked = [(text, answer) for text in texts[:MAX_FOUND] if (answer := _look_if_readable(text)) is not None]
    if len(texts) == 1 and looked:
        return _verdict(looked[0][1], looked[0][0])
    if not looked:
        raise Invalid("The code in the photo is of another kind and says nothing to this registry.", code="other_code")
    found = [Found(text, answer.verdict.summary) for text, answer in looked]
    return render_template("portal/checked.html", found=found, skipped=len(texts) - len(found))


def _look(text: str) -> VerdictAnswer:
    return verification.look(
        services(), text=text, principal=current_principal(), remote_address=request.remote_addr or ""
    )


def _look_if_readable(text: str) -> VerdictAnswer | None:
    """Give the answer; None for a symbol that is no code in any syntax known here."""
    try:
        return _look(text)
    except Malformed:
        return None
