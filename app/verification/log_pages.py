"""The log for everybody: its checkpoint and tiles at the addresses that C2SP tlog-tiles gives them."""

from flask import Blueprint, Response

from app.core.authorisation import public
from app.core.errors import NotFound
from app.core.services import services
from ledger.errors import EntryNotFound, FormatError
from ledger.tiles import parse_tile_path

blueprint = Blueprint("log", __name__)
TILE_WIDTH = 256
"""Hashes, or leaves, of a full tile."""
FOREVER = "public, max-age=31536000, immutable"


@blueprint.get("/log/checkpoint")
@public
def checkpoint() -> Response:
    """Give the latest published checkpoint, a signed note."""
    response = Response(services().log.checkpoint().note_text, content_type="text/plain; charset=utf-8")
    response.headers["Cache-Control"] = "no-cache"
    return response


@blueprint.get("/log/tile/<path:rest>")
@public
def tile(rest: str) -> Response:
    """Give a tile of hashes or a bundle of leaves; partial ones end in .p/<width>."""
    log = services().log
    try:
        level, index, width = parse_tile_path(f"tile/{rest}")
        wanted = width or TILE_WIDTH
        data = log.tile(level, index, wanted) if isinstance(level, int) else log.entry_bundle(index, wanted)
    except (FormatError, EntryNotFound):
        raise NotFound from None
    response = Response(data, mimetype="application/octet-stream")
    response.headers["Cache-Control"] = FOREVER
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response
