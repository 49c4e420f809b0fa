"""Where a person is led who may do something only after showing more: a confirmation, or a second factor."""

from urllib.parse import quote

from flask import current_app, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from app.accounts.forms import own_path
from app.core.authorisation import ConfirmationNeeded, SecondFactorOwed
from app.core.http import answer_app_error, wants_json

FACTORS = "/account/factors"
AGAIN = "/sign-in/again"


def ask_for_confirmation(error: ConfirmationNeeded) -> AnyResponse:
    """Lead to the confirmation and from there back; what a form sent is not kept, and the page says so."""
    if wants_json():
        return answer_app_error(error)
    if request.method == "GET":
        return redirect(again_address(AGAIN, own_path(request.full_path.rstrip("?"))), 303)
    return redirect(f"{again_address(AGAIN, _page_of_form(request.path))}&sent=1", 303)


def ask_for_second_factor(error: SecondFactorOwed) -> AnyResponse:
    """Lead to the page where a second factor is set up, which says why."""
    return answer_app_error(error) if wants_json() else redirect(FACTORS, 303)


def again_address(path: str, goal: str | None) -> str:
    """The address of a step that leads on to `goal`."""
    return path if goal is None else f"{path}?next={quote(goal)}"


def _page_of_form(path: str) -> str:
    """The page that a form most likely stood on: browsers do not tell, so the nearest address above that is a page."""
    adapter = current_app.create_url_adapter(request)
    while path and adapter is not None and not adapter.test(path, "GET"):
        path = path.rpartition("/")[0]
    return path or "/account"
