"""What every template can ask for: who is here, where they can go, and how figures and times are written."""

from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

from babel import Locale
from babel.dates import format_datetime, format_timedelta
from babel.numbers import format_compact_decimal, format_decimal
from flask import Flask, Response, request
from flask_babel import gettext

from app.core.authorisation import Permission, current_principal
from app.core.i18n import COOKIE, LANGUAGES, choose_language
from app.core.services import services

COOKIE_SECONDS = 365 * 24 * 3600
LANGUAGE_NAMES = {"en": "English", "es": "Español"}
FIGURES = {"en": Locale("en", "US"), "es": Locale("es", "MX")}
"""How figures and dates are written: Mexico groups thousands with commas, Spain does not."""


@dataclass(frozen=True, slots=True)
class Link:
    """An entry of the navigation; `sections` are the first path segments that it stands for."""

    text: str
    address: str
    sections: tuple[str, ...]

    def covers(self, path: str) -> bool:
        """Whether the page at `path` belongs to this entry."""
        return path.split("/", 2)[1] in self.sections


@dataclass(frozen=True, slots=True)
class LanguageLink:
    """This page in one language."""

    code: str
    name: str
    address: str
    is_current: bool


def navigation() -> list[Link]:
    """Where the caller can go."""
    principal = current_principal()
    links = [Link(gettext("Check a code"), "/check", ("check", "verify"))]
    if principal.is_anonymous:
        return [*links, Link(gettext("How to check us"), "/transparency", ("transparency", "ledger"))]
    links.insert(0, Link(gettext("Overview"), "/dashboard", ("dashboard",)))
    if principal.may(Permission.PRODUCT_READ):
        links.append(Link(gettext("Products"), "/products", ("products",)))
    if principal.may(Permission.BATCH_READ):
        links.append(Link(gettext("Batches"), "/batches", ("batches", "jobs", "imports")))
    if principal.may(Permission.ORGANISATION_READ):
        links.append(Link(gettext("Organisation"), "/organisation", ("organisation", "devices")))
    if principal.may(Permission.ORGANISATION_APPROVE):
        links.append(Link(gettext("Administration"), "/admin", ("admin",)))
    return links


def language_links() -> list[LanguageLink]:
    """Give this page in each language: the same address with ``lang`` replaced.

    Only the query is written: a path that a stranger chose, such as ``//elsewhere``, must not become an address here.
    """
    others = [(key, value) for key, value in request.args.items(multi=True) if key != "lang"]
    current = choose_language()
    addresses = {code: f"?{urlencode([*others, ('lang', code)])}" for code in LANGUAGES}
    return [LanguageLink(code, LANGUAGE_NAMES[code], addresses[code], code == current) for code in LANGUAGES]


def number(value: int) -> str:
    """Write a whole number with the separators of the reader's language."""
    return str(format_decimal(value, locale=FIGURES[choose_language()]))


def moment(milliseconds: int | None) -> str:
    """Write a point in time in the reader's language, in UTC and saying so; empty for None."""
    if milliseconds is None:
        return ""
    return f"{_in_utc(milliseconds, 'd MMM y, HH:mm')} UTC"


def short_number(value: int) -> str:
    """Write a whole number beside an axis: from ten thousand on with a word for the thousands."""
    if value < 10_000:
        return number(value)
    return str(format_compact_decimal(value, fraction_digits=1, locale=FIGURES[choose_language()]))


def day(milliseconds: int) -> str:
    """Write a day of UTC without its year."""
    return _in_utc(milliseconds, "d MMM")


def clock(milliseconds: int, *, seconds: bool = False) -> str:
    """Write a time of day in UTC."""
    return _in_utc(milliseconds, "HH:mm:ss" if seconds else "HH:mm")


def duration(seconds: int | None) -> str:
    """Write how long something takes or is ago, roughly; empty for None."""
    return "" if seconds is None else str(format_timedelta(seconds, locale=FIGURES[choose_language()]))


def lag(milliseconds: int) -> str:
    """Write a delay: in milliseconds below one second."""
    return f"{number(milliseconds)} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.3g} s"


def _in_utc(milliseconds: int, pattern: str) -> str:
    when = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return str(format_datetime(when, pattern, locale=FIGURES[choose_language()]))


def remember_language(response: Response) -> Response:
    """Keep a choice made with ``?lang=`` for the next pages."""
    asked = request.args.get("lang")
    if asked in LANGUAGES:
        response.set_cookie(
            COOKIE, asked, max_age=COOKIE_SECONDS, samesite="Lax", secure=request.is_secure, httponly=True
        )
    return response


def install(app: Flask) -> None:
    """Register filters, variables and the language cookie."""
    app.jinja_env.filters.update(
        number=number, moment=moment, short_number=short_number, day=day, clock=clock, duration=duration, lag=lag
    )
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.after_request(remember_language)

    @app.context_processor
    def variables() -> dict[str, object]:
        return {
            "principal": current_principal(),
            "navigation": navigation(),
            "language_links": language_links(),
            "registry_name": services().settings.registry_name,
            "public_url": services().settings.public_url.rstrip("/"),
        }
