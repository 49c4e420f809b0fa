"""How pages of accounts are shown, and how they go on after a form."""

from collections.abc import Callable
from typing import Any

from flask import Response, flash, jsonify, make_response, redirect, render_template, request
from flask_babel import gettext
from werkzeug.wrappers import Response as AnyResponse

from app.accounts import words
from app.accounts.forms import sign_in_address
from app.core.errors import AppError, NotSignedIn
from app.core.http import answer_app_error, problem_response, wants_json


def page(template: str, *, error: AppError | None = None, **context: Any) -> Response:
    """Give the page; with `error` it says what was refused, and has the status of the refusal."""
    shown = render_template(template, error=error, say=words.say, standing=words.tone, choices=words.choices, **context)
    return make_response(shown, 200 if error is None else int(error.status))


def then(again: Callable[[AppError], AnyResponse], goal: str, done: str, use_case: Callable[[], object]) -> AnyResponse:
    """Run a use case; then go on to `goal` with the sentence `done`, or show the page again with what was refused."""
    try:
        use_case()
    except AppError as error:
        return again(error)
    flash(done, "good")
    return redirect(goal, 303)


def answered(use_case: Callable[[], dict[str, Any]]) -> AnyResponse:
    """Answer a script of a page with what the use case gives, or with the refusal in the reader's language.

    A refusal is a problem (RFC 9457) with the members `sentence` and, where there is something to do, `said_fix`.
    """
    try:
        return jsonify(use_case())
    except AppError as error:
        answer = problem_response(error)
        said = {"sentence": error.sentence(), "said_fix": gettext(error.fix) if error.fix else None}
        answer.set_data(jsonify((answer.get_json() or {}) | said).get_data())
        return answer


def once(answer: AnyResponse) -> AnyResponse:
    """Give a page with a secret in it so that nobody keeps it."""
    answer.headers["Cache-Control"] = "no-store"
    return answer


def ask_to_sign_in(error: NotSignedIn) -> AnyResponse:
    """Lead from a page that needs a signed-in person to the sign-in form; machines get their answer as ever."""
    if wants_json() or request.method != "GET":
        return answer_app_error(error)
    return redirect(sign_in_address(), 303)
