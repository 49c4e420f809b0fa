"""Pages for everybody: what this is, and how the registry itself can be checked."""

import base64

from flask import Blueprint, render_template

from app.core.authorisation import public
from app.core.clock import now_ms
from app.core.services import services

blueprint = Blueprint("public_pages", __name__)


@blueprint.get("/")
@public
def home() -> str:
    """Say what Marchamo is, in plain words."""
    return render_template("portal/home.html")


@blueprint.get("/transparency")
@public
def transparency() -> str:
    """Show the latest checkpoint, and how outsiders check it."""
    log = services().log
    found = services().checkpoints.latest()
    signed = found.signed
    return render_template(
        "portal/transparency.html",
        origin=log.origin,
        size=signed.checkpoint.size,
        root=base64.b64encode(signed.checkpoint.root).decode(),
        note=signed.note_text,
        witnessed=found.witnessed,
        verifier_key=log.verifier.to_text(),
        read_at=now_ms(),
    )
