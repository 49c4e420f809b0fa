"""Pages for everybody: what this is, and how the registry itself can be checked."""

import base64

from flask import Blueprint, render_template

from app.core.authorisation import public
from app.core.clock import now_ms
from app.core.services import services
from app.portal.context import number
from app.registry.unit_id import MAX_BATCH_SIZE
from app.verification import guess_chance

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
        chances=_chances(),
    )


def _chances() -> dict[str, str]:
    """What a guess can win, in figures: for the largest batch that can be made."""
    once = guess_chance.chance_with_handle(MAX_BATCH_SIZE)
    return {
        "units": number(MAX_BATCH_SIZE),
        "serials": number(guess_chance.serials_of_handle()),
        "one_in": number(round(1 / once)),
        "ten_thousand_one_in": number(round(1 / guess_chance.chance_of_several(once, 10_000))),
    }
