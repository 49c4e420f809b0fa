"""Languages: English and Spanish, by an explicit choice, else a cookie, else Accept-Language."""

from flask import Flask, g, has_request_context, request
from flask_babel import Babel

LANGUAGES = ("en", "es")
COOKIE = "language"


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


def install(app: Flask) -> None:
    """Set Babel up with the translations in app/portal/translations."""
    app.config["BABEL_TRANSLATION_DIRECTORIES"] = "portal/translations"
    Babel(app, locale_selector=choose_language)

    @app.context_processor
    def language_names() -> dict[str, object]:
        return {"language": choose_language(), "languages": LANGUAGES}
