"""How verdicts go out over HTTP."""

from typing import Any

import orjson
from flask import Response


def json_response(body: dict[str, Any]) -> Response:
    """Give a JSON answer that nobody may keep: a verdict is true at its time only.

    The body is built by the use case; a schema documents it, and dumping it field by field again would only cost time.
    """
    response = Response(orjson.dumps(body), mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response
