"""Addresses printed in codes, and the page that a phone's camera opens.

`GET /01/...` answers 307 to `/verify/01/...` with the query kept; the page is rendered there. Neither records a scan:
link previews and prefetching would be scans. The page's own script reports one with POST /v1/public/scans.
"""

from flask import Blueprint, Flask, Response, redirect, render_template, request
from werkzeug.wrappers import Response as Redirection

from app.core.authorisation import current_principal, public
from app.core.http import wants_json
from app.core.services import services
from app.verification import service
from app.verification.http import json_response
from app.verification.limits import refuse_flood
from app.verification.links import printed_path, printed_text
from scanners.codes.ai import dictionary

blueprint = Blueprint("verdict", __name__)


@public
def resolve(key: str, rest: str) -> Redirection:
    """Send a printed address to the page that verifies it."""
    query = request.query_string.decode("latin-1")
    target = f"/verify{printed_path(f'/{key}/{rest}')}{'?' + query if query else ''}"
    return redirect(target, code=307)


@blueprint.get("/verify/<path:rest>")
@public
def page(rest: str) -> Response:
    """Show the verdict on the code with this address; records nothing."""
    refuse_flood(services(), request.remote_addr)
    settings = services().settings
    text = printed_text(settings.code_stem, f"/{rest}", request.query_string.decode("latin-1"))
    answer = service.look(
        services(), text=text, principal=current_principal(), remote_address=request.remote_addr or ""
    )
    if wants_json():
        response = json_response(answer.to_wire())
    else:
        html = render_template("verification/verdict.html", answer=answer, text=text)
        response = Response(html, content_type="text/html; charset=utf-8")
    response.headers["Cache-Control"] = "no-store"
    response.headers["Vary"] = "Accept, Accept-Language, Cookie"
    return response


def install(app: Flask) -> None:
    """Register the page, and one route for each key that a GS1 address can begin with, and for our items."""
    app.register_blueprint(blueprint)
    keys = [ai for ai, entry in dictionary().items() if entry.qualifiers is not None]
    for key in [*keys, "i"]:
        app.add_url_rule(
            f"/{key}/<path:rest>",
            endpoint="resolve" if key == "i" else f"resolve_{key}",
            view_func=resolve,
            defaults={"key": key},
        )
