"""Runs Schemathesis over the API's own description, in process, as one caller; and what it may start from.

A program that only makes values up seldom gets past "there is no such record". So the description that it reads is
given examples by the names of members: real codes, handles and references of the world that the test has made.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from flask import Flask
from schemathesis import engine
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events
from schemathesis.schemas import BaseSchema

from app.core.authorisation import Permission, permission_of_endpoint

PHASES = ("examples", "coverage", "fuzzing", "stateful")

LEFT_OUT = {
    # What is right by the schema can be wrong by the rules of the world: a GTIN has a check digit, a key a length.
    "positive_data_acceptance": {"enabled": False},
    # An address such as /v1/devices/enrolments is also that of a device called "enrolments", which can be asked for.
    "allow_header_conformance": {"enabled": False},
    # A body beyond the bound is not read at all.
    "negative_data_rejection": {"expected-statuses": [400, 401, 403, 404, 405, 409, 413, 415, 422, 429]},
}
"""Checks that are not made, or made otherwise; all others of Schemathesis are."""


@dataclass
class Report:
    """What came of a run: how many requests of which answer, and what was wrong, each kind of fault once."""

    statuses: Counter[int] = field(default_factory=Counter)
    faults: dict[tuple[str, str, str], str] = field(default_factory=dict)
    tried: set[str] = field(default_factory=set)

    @property
    def requests(self) -> int:
        return self.statuses.total()


def description(app: Flask, examples: Mapping[str, object]) -> dict[str, Any]:
    """The API's description, with these examples at every member and parameter of the name."""
    found: dict[str, Any] = app.test_client().get("/v1/openapi.json").get_json()
    for parameter in _parameters(found["paths"]):
        if parameter.get("name") in examples:
            parameter["example"] = examples[parameter["name"]]
    for schema in found["components"]["schemas"].values():
        for name, member in schema.get("properties", {}).items():
            if name in examples and "$ref" not in member:
                member["examples"] = [examples[name]]
    return found


def _parameters(paths: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for item in paths.values():
        yield from item.get("parameters", ())
        for operation in item.values():
            if isinstance(operation, dict):
                yield from operation.get("parameters", ())


def operations_of(app: Flask, permissions: frozenset[Permission]) -> list[str]:
    """Names of the described operations that are public or under one of these, as Schemathesis names them."""
    described = app.test_client().get("/v1/openapi.json").get_json()["paths"]
    names = []
    with app.app_context():
        for rule in app.url_map.iter_rules():
            path = re.sub(r"<(?:[^<>]*:)?(\w+)>", r"{\1}", rule.rule)
            for method in described.get(path, {}).keys() & {method.lower() for method in rule.methods or ()}:
                permission = permission_of_endpoint(rule.endpoint, method.upper())
                if permission is None or permission in permissions:
                    names.append(f"{method.upper()} {path}")
    return names


def _sparing(app: Flask, prefix: str) -> Callable[..., Iterable[bytes]]:
    """The application, in which one API key is not found by its prefix."""

    def spare(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        environ["PATH_INFO"] = environ["PATH_INFO"].replace(prefix, "mch_00000000")
        return app(environ, start)

    return spare


def run(
    app: Flask,
    described: dict[str, Any],
    *,
    headers: Mapping[str, str],
    phases: Iterable[str],
    operations: list[str] | None = None,
    most: int = 5,
    spared: str = "",
) -> Report:
    """Send what these phases make up, `most` requests a phase of chance and operation; the same ones each time.

    spared: prefix of the key that the run itself uses, which it must not end.
    """

    wanted = set(phases)
    config = SchemathesisConfig.from_dict(
        {
            "headers": dict(headers),
            "continue-on-failure": True,
            "checks": LEFT_OUT,
            "generation": {"deterministic": True, "max-examples": most, "no-shrink": True, "database": "none"},
            "phases": {phase: {"enabled": phase in wanted} for phase in PHASES},
        }
    )
    schema: BaseSchema = schemathesis.openapi.from_dict(described, config=config)
    schema.app = _sparing(app, spared) if spared else app
    if operations is not None:
        schema = schema.include(name=operations)
    report = Report()
    for event in engine.from_schema(schema).execute():
        if isinstance(event, events.NonFatalError):
            report.faults[event.label, "could not be tried", ""] = str(event.info)
        elif isinstance(event, events.FatalError):
            raise event.exception
        elif isinstance(event, events.ScenarioFinished):
            _take(report, event)
    return report


def _take(report: Report, event: events.ScenarioFinished) -> None:
    for interaction in event.recorder.interactions.values():
        if interaction.response is not None:
            report.statuses[interaction.response.status_code] += 1
    for number, checks in event.recorder.checks.items():
        label = event.recorder.cases[number].value.operation.label
        report.tried.add(label)
        for check in checks:
            if check.failure_info is not None:
                failure = check.failure_info.failure
                said = f"{failure}\n{check.failure_info.code_sample}"
                response = event.recorder.interactions[number].response
                if response is not None:
                    said += f"\n{response.status_code} {response.content[:500]!r}"
                report.faults.setdefault((label, check.name, failure.title), said)
