"""Cross-site request forgery: pages that act for a signed-in person check Flask-WTF's token; the API does not need it.

The API takes no cookies: a request with an Authorization header or without a session cannot be forged by a page.
"""

from flask import Flask, Response, request
from flask_wtf.csrf import CSRFError, CSRFProtect

from app.core.errors import AppError
from app.core.http import answer_app_error


def install(app: Flask) -> None:
    """Check every state-changing request except those of the API."""
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False
    app.config["WTF_CSRF_TIME_LIMIT"] = None
    guard = CSRFProtect(app)

    @app.before_request
    def check() -> None:
        if request.method in ("POST", "PUT", "PATCH", "DELETE") and not request.path.startswith("/v1/"):
            guard.protect()

    def refuse(_error: CSRFError) -> Response:
        sentence = "This page was open too long or came from elsewhere. Load it again and repeat."
        return answer_app_error(AppError(sentence, code="csrf"))

    app.register_error_handler(CSRFError, refuse)
