"""Languages: English and Spanish, by an explicit choice, else a cookie, else Accept-Language."""

import re
from functools import cache
from pathlib import Path

from babel.support import NullTranslations, Translations
from flask import Flask, g, has_request_context, request
from flask_babel import Babel

LANGUAGES = ("en", "es")
COOKIE = "language"
_TWO_FULL_STOPS = re.compile(r"(?<!\.)\.\.(?!\.)")
_TRANSLATIONS = Path(__file__).parent.parent / "portal" / "translations"


def choose_language() -> str:
    """The reader's language: ``?lang=``, then the cookie of an earlier choice, then Accept-Language, then English."""
    if not has_request_context():
        return "en"
    if "language" not in g:
        environ = request.environ
        if not (environ.get("QUERY_STRING") or "HTTP_COOKIE" in environ or "HTTP_ACCEPT_LANGUAGE" in environ):
            return "en"  # most machines: nothing to parse
        asked = request.args.get("lang") or request.cookies.get(COOKIE)
        g.language = asked if asked in LANGUAGES else request.accept_languages.best_match(LANGUAGES) or "en"
    language: str = g.language
    return language


def in_language(language: str, message: str, **parameters: object) -> str:
    """The message in a given language, whoever asks: for letters, which are written where there is no reader."""
    said = str(_catalogue(language).gettext(message))
    return one_full_stop(said % parameters) if parameters else said


def one_full_stop(said: str) -> str:
    """The sentence with one full stop, also after a name that ends in one itself: Talavera, S.A. de C.V."""
    return _TWO_FULL_STOPS.sub(".", said)


@cache
def _catalogue(language: str) -> NullTranslations:
    return Translations.load(str(_TRANSLATIONS), [language])


def install(app: Flask) -> None:
    """Set Babel up with the translations in app/portal/translations."""
    app.config["BABEL_TRANSLATION_DIRECTORIES"] = "portal/translations"
    Babel(app, locale_selector=choose_language)

    @app.context_processor
    def language_names() -> dict[str, object]:
        return {"language": choose_language(), "languages": LANGUAGES}
