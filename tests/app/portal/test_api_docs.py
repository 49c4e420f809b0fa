"""The documentation of the API is drawn from the OpenAPI document that the application itself serves."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient

from app.portal.api_docs import sections
from tests.builders import on_sqlite

DOCUMENT = {
    "tags": [{"name": "boxes", "description": "Boxes and what is in them."}],
    "paths": {
        "/v1/boxes/{name}": {
            "parameters": [{"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}],
            "post": {
                "tags": ["boxes"],
                "summary": "Fill a box.",
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Box"}}}},
                "responses": {"201": {"description": "Filled"}, "default": {"description": "A problem"}},
            },
        }
    },
    "components": {
        "schemas": {
            "Box": {
                "type": "object",
                "required": ["things"],
                "properties": {
                    "things": {"type": "array", "maxItems": 9, "items": {"$ref": "#/components/schemas/Thing"}},
                    "colour": {"type": "string", "enum": ["red", "blue"]},
                },
            },
            "Thing": {"type": "object", "properties": {"weight": {"type": ["integer", "null"], "minimum": 0}}},
        }
    },
}


def test_references_are_followed_and_nested_members_are_shown_below_their_owner() -> None:
    (section,) = sections(DOCUMENT)
    (operation,) = section.operations
    assert (operation.method, operation.path, operation.summary) == ("POST", "/v1/boxes/{name}", "Fill a box.")
    assert [(one.name, one.depth, one.type, one.required) for one in operation.body] == [
        ("things", 0, "list of object, at most 9", True),
        ("weight", 1, "integer or null, ≥ 0", False),
        ("colour", 0, "red | blue", False),
    ]
    assert [(one.name, one.type, one.required) for one in operation.parameters] == [("name", "string, path", True)]


@on_sqlite
def test_the_page_names_every_operation_of_the_document(client: FlaskClient) -> None:
    document = client.get("/v1/openapi.json").get_json()
    page = client.get("/v1/docs").text
    operations = [path for path, item in document["paths"].items() for method in item if method != "parameters"]
    assert len(operations) > 20
    for path in document["paths"]:
        assert f"<code>{path}</code>" in page


@on_sqlite
def test_the_page_says_what_each_answer_means_without_a_script(app: Flask) -> None:
    page = app.test_client().get("/v1/docs?lang=es")
    assert page.status_code == 200
    assert "<script" not in page.text
    assert "Para desarrolladores" in page.text
