"""The documentation of the API as a page: drawn from the application's own OpenAPI document, no script, no CDN."""

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, render_template
from werkzeug.http import HTTP_STATUS_CODES

from app.core.authorisation import public
from app.core.http import ProblemApi

_METHODS = ("get", "post", "put", "patch", "delete")
_DEEPEST = 6
"""Schemas nested deeper than this are named, not drawn."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an object: where it stands, its type in words, and what it means."""

    name: str
    depth: int
    type: str
    required: bool
    meaning: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer that an operation gives."""

    status: str
    meaning: str
    members: list[Member]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path."""

    anchor: str
    method: str
    path: str
    summary: str
    description: str
    parameters: list[Member]
    body: list[Member]
    body_types: list[str]
    answers: list[Answer]


@dataclass(frozen=True, slots=True)
class Section:
    """The operations of one tag."""

    anchor: str
    title: str
    description: str
    operations: list[Operation]


def sections(document: dict[str, Any]) -> list[Section]:
    """Sort the operations of an OpenAPI 3.1 document by their first tag, in the document's order."""
    reader = _Reader(document)
    by_tag: dict[str, list[Operation]] = {tag["name"]: [] for tag in document.get("tags", ())}
    for path, item in document.get("paths", {}).items():
        shared = item.get("parameters", [])
        for method in _METHODS:
            if method in item:
                tag = (item[method].get("tags") or ["other"])[0]
                by_tag.setdefault(tag, []).append(reader.operation(path, method, item[method], shared))
    meanings = {tag["name"]: tag.get("description", "") for tag in document.get("tags", ())}
    return [
        Section(f"tag-{tag}", tag.replace("_", " ").capitalize(), meanings.get(tag, ""), operations)
        for tag, operations in by_tag.items()
        if operations
    ]


class _Reader:
    """Follows the references of one document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def operation(self, path: str, method: str, given: dict[str, Any], shared: list[Any]) -> Operation:
        body = self._resolve(given.get("requestBody", {}))
        content: dict[str, Any] = body.get("content", {})
        responses = sorted(given.get("responses", {}).items(), key=str)
        return Operation(
            anchor=f"{method}-{path.strip('/').replace('/', '-').replace('{', '').replace('}', '')}",
            method=method.upper(),
            path=path,
            summary=given.get("summary", ""),
            description=given.get("description", ""),
            parameters=[self._parameter(one) for one in [*shared, *given.get("parameters", [])]],
            body=self._members(self._first_schema(content)),
            body_types=list(content),
            answers=[self._answer(str(status), one) for status, one in responses],
        )

    def _answer(self, status: str, given: dict[str, Any]) -> Answer:
        found = self._resolve(given)
        meaning = found.get("description") or (HTTP_STATUS_CODES.get(int(status), "") if status.isdigit() else "")
        return Answer(status, meaning, self._members(self._first_schema(found.get("content", {}))))

    def _parameter(self, given: dict[str, Any]) -> Member:
        found = self._resolve(given)
        place = found.get("in", "query")
        return Member(
            name=found.get("name", ""),
            depth=0,
            type=f"{self._type(found.get('schema', {}))}, {place}",
            required=bool(found.get("required")),
            meaning=found.get("description", ""),
        )

    def _first_schema(self, content: dict[str, Any]) -> dict[str, Any]:
        for media_type in content.values():
            schema: dict[str, Any] = media_type.get("schema", {})
            return schema
        return {}

    def _members(self, schema: dict[str, Any], depth: int = 0) -> list[Member]:
        found = self._resolve(schema)
        if found.get("type") == "array":
            return self._members(found.get("items", {}), depth)
        if depth > _DEEPEST:
            return []
        required = set(found.get("required", ()))
        members = []
        for name, part in found.get("properties", {}).items():
            resolved = self._resolve(part)
            meaning = resolved.get("description", "") if "$ref" not in part else ""
            members.append(Member(name, depth, self._type(part), name in required, meaning))
            members.extend(self._members(part, depth + 1))
        return members

    def _type(self, schema: dict[str, Any]) -> str:
        found = self._resolve(schema)
        kind = found.get("type", "object" if "properties" in found else "any")
        words = " or ".join(kind) if isinstance(kind, list) else str(kind)
        if words.startswith("array"):
            words = f"list of {self._type(found.get('items', {}))}"
        if found.get("enum"):
            words = " | ".join(str(value) for value in found["enum"] if value is not None)
        elif found.get("format"):
            words = f"{words} ({found['format']})"
        bounds = [
            f"{word} {found[key]}"
            for key, word in (
                ("minLength", "at least"), ("maxLength", "at most"), ("minimum", "≥"), ("maximum", "≤"),
                ("minItems", "at least"), ("maxItems", "at most"),
            )
            if key in found
        ]  # fmt: skip
        return f"{words}, {', '.join(bounds)}" if bounds else words

    def _resolve(self, given: dict[str, Any]) -> dict[str, Any]:
        found = given
        for _ in range(_DEEPEST):
            if "$ref" in found:
                target: Any = self._document
                for part in found["$ref"].removeprefix("#/").split("/"):
                    target = target[part]
                found = target
            elif len(found.get("allOf", ())) == 1:
                found = found["allOf"][0]
            else:
                break
        return found


def make_blueprint(api: ProblemApi) -> Blueprint:
    """Make the page at /v1/docs for the document of `api`, read at the first visit: by then every feature is wired."""
    blueprint = Blueprint("api_docs", __name__)
    drawn: dict[str, Any] = {}

    @blueprint.get("/v1/docs")
    @public
    def docs() -> str:
        if not drawn:
            document = api.spec.to_dict()
            drawn.update(info=document["info"], sections=sections(document))
        return render_template("portal/api_docs.html", **drawn)

    return blueprint
