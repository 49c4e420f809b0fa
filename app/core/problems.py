"""What the API's own description says about refusals: one shape (RFC 9457) for every status and every route."""

from http import HTTPStatus
from typing import Any

MEDIA_TYPE = "application/problem+json"
NAME = "Problem"
"""Of the schema in the OpenAPI document."""


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail", "request_id"],
    "additionalProperties": False,
    "properties": {
        "type": _text("a URN of the code"),
        "title": _text("the status in words"),
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "code": _text("which refusal it is; stable, for machines"),
        "detail": _text("what is wrong, in a sentence"),
        "fix": _text("what to do about it, where something can be done"),
        "errors": {
            "type": "array",
            "description": "what is wrong in the input, one by one",
            "items": {
                "type": "object",
                "required": ["where", "code", "message"],
                "additionalProperties": False,
                "properties": {
                    "where": _text("a JSON pointer, or row and column of a file"),
                    "code": _text("for machines"),
                    "message": _text("in a sentence"),
                },
            },
        },
        "request_id": _text("names this request in the registry's log"),
    },
}


def response(status: HTTPStatus | None = None) -> dict[str, Any]:
    """The OpenAPI response of a refusal: of one status, or of any when None."""
    description = "The request is refused, or can not be answered now." if status is None else status.phrase
    return {
        "description": description,
        "content": {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{NAME}"}}},
    }
