"""The statements of the subject map for everybody, beside the log's tiles: with both anybody can recompute each map."""

import hashlib

from flask import Blueprint, Response, request

from app.core.authorisation import public
from app.core.services import services
from app.transparency.parts import log_files, map_files
from ledger.errors import EntryNotFound

blueprint = Blueprint("maps", __name__)

FULL = "public, max-age=31536000, immutable"
GROWING = "no-cache"
MAX_NUMBER = 2**32


@blueprint.get("/log/map")
@public
def latest() -> Response:
    """Give the latest statement of the subject map with its proof."""
    signed = log_files(services()).checkpoint()
    try:
        data = map_files(services()).latest(signed)
    except EntryNotFound:
        return _absent()
    return _answer(data, content_type="application/json", cache=GROWING)


@blueprint.get("/log/maps/<int:number>")
@public
def statements(number: int) -> Response:
    """Give up to 256 statements of the subject map, one a line."""
    size = log_files(services()).checkpoint().checkpoint.size
    try:
        data, is_full = map_files(services()).statements(min(number, MAX_NUMBER), size)
    except EntryNotFound:
        return _absent()
    return _answer(data, content_type="application/jsonl", cache=FULL if is_full else GROWING)


def _answer(data: bytes, *, content_type: str, cache: str) -> Response:
    response = Response(data, content_type=content_type)
    response.set_etag(hashlib.sha256(data).hexdigest()[:32])
    response.headers["Cache-Control"] = cache
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.make_conditional(request)
    return response


def _absent() -> Response:
    response = Response("The published log has no such map.\n", 404, content_type="text/plain; charset=utf-8")
    response.headers["Cache-Control"] = "no-store"
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response
