"""The log for everybody: its checkpoint and tiles at the addresses that C2SP tlog-tiles gives them.

What may be kept, and how long: a tile's bytes never change, whatever its width, because the log only grows. Full ones
are asked for as long as the log lives; partial ones only until the tile is full, so caches need not hold them longer
than a day. The checkpoint is new every second. A tile that is not there yet will be: nobody may remember its absence.
"""

import gzip
import hashlib
from functools import lru_cache

from flask import Blueprint, Response, request

from app.core.authorisation import public
from app.core.services import services
from app.transparency.parts import log_files
from ledger.errors import EntryNotFound, FormatError
from ledger.log_files import ENTRIES, TileName

blueprint = Blueprint("log", __name__)

FULL = "public, max-age=31536000, immutable"
PARTIAL = "public, max-age=86400, immutable"
CHECKPOINT = "public, no-cache"
"""It may be kept, and must be asked for again each time: with its ETag the answer is short."""
ABSENT = "no-store"
COMPRESSED = 256
"""Compressed bundles kept in memory."""


@blueprint.get("/log/checkpoint")
@public
def checkpoint() -> Response:
    """Give the latest published checkpoint, a signed note."""
    note = log_files(services()).checkpoint().note_text.encode()
    return _answer(note, content_type="text/plain; charset=utf-8", cache=CHECKPOINT)


@blueprint.get("/log/tile/<path:rest>")
@public
def tile(rest: str) -> Response:
    """Give a tile of hashes or a bundle of leaves; partial ones end in .p/<width>."""
    try:
        name = TileName.from_path(f"tile/{rest}")
        data = log_files(services()).read(name)
    except (FormatError, EntryNotFound):
        absent = Response("The published log has no such tile.\n", 404, content_type="text/plain; charset=utf-8")
        absent.headers["Cache-Control"] = ABSENT
        absent.headers["Access-Control-Allow-Origin"] = "*"
        return absent
    cache = FULL if name.is_full else PARTIAL
    return _answer(data, content_type="application/octet-stream", cache=cache, compressible=name.level == ENTRIES)


def _answer(data: bytes, *, content_type: str, cache: str, compressible: bool = False) -> Response:
    """Give the bytes with their ETag, or 304 to whoever has them; HEAD is answered by the framework."""
    tag = hashlib.sha256(data).hexdigest()[:32]
    packed = _packed(data) if compressible and request.accept_encodings.quality("gzip") > 0 else data
    response = Response(packed, content_type=content_type)
    if packed is not data:
        response.headers["Content-Encoding"] = "gzip"
        tag += "-gzip"  # other bytes, another tag (RFC 9110 section 8.8.3)
    response.set_etag(tag)
    response.headers["Cache-Control"] = cache
    response.headers["Access-Control-Allow-Origin"] = "*"
    if compressible:
        response.headers["Vary"] = "Accept-Encoding"
    response.make_conditional(request)
    return response


@lru_cache(COMPRESSED)
def _packed(data: bytes) -> bytes:
    """Compress, where that makes it shorter: leaves are hashes, so about a hundredth is all there is to save."""
    packed = gzip.compress(data, 1, mtime=0)
    return packed if len(packed) < len(data) else data
