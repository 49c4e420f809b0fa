"""The API keeps to its own description, whatever it is sent and whoever sends it; and it never breaks.

Schemathesis makes the requests up from the OpenAPI document: right ones, wrong ones, and what lies at the bounds. No
answer may be an error of the server, or have a status, media type, header or shape that the document does not name.
"""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.vocabulary import OrganisationKind
from app.core.authorisation import ROLE_PERMISSIONS, Permission, Role
from app.core.services import Services
from app.registry import service as registry
from tests.app.registry.registry_builders import commissioned, make_firm
from tests.app.schema_run import PHASES, Report, description, operations_of, run
from tests.builders import KIND_OF_ROLE, api_key, bearer, gtin, make_approved, on_sqlite

pytestmark = on_sqlite

CALLERS = [None, *Role]
"""The public, and each role."""

AT_THE_BOUNDS = (None, Role.OWNER, Role.PLATFORM_ADMINISTRATOR)
"""Who together reach every operation: for them all bounds are tried in `make test`; for all others in the long run."""


@pytest.fixture
def firm(services: Services) -> accounts.Organisation:
    return make_firm(services).organisation


@pytest.fixture
def examples(services: Services, firm: accounts.Organisation) -> dict[str, object]:
    """What stands in this world, by the names that the API has for it."""
    batch = commissioned(services, firm, registry.CommissionRequest(product=gtin(1), quantity=3))
    with Session(services.engine) as session:
        code = next(iter(registry.codes_of_batch(session, services.sealer, batch, stem=services.settings.code_stem)))
        key = accounts.list_keys(session, organisation_id=firm.id)[0]
    return {
        "code": code.text,
        "codes": [code.text],
        "S": code.text.rpartition("S=")[2],
        "handle": batch.handle,
        "serial": code.serial,
        "issuer": firm.issuer,
        "product": gtin(1),
        "gtin": gtin(2),
        "key_id": key.key_id,
        "country": "MX",
        "email": "somebody@example.org",
        "position": 0,
        "index": 0,
    }


def secret_of(services: Services, firm: accounts.Organisation, role: Role) -> str:
    """A key of the role: of the firm that has made things, where the role can be in a firm."""
    kind = KIND_OF_ROLE.get(role, OrganisationKind.FIRM)
    in_firm = kind is OrganisationKind.FIRM and role is not Role.PLATFORM_ADMINISTRATOR
    return api_key(services, role, organisation=firm if in_firm else make_approved(services, kind=kind))


def as_caller(
    app: Flask,
    services: Services,
    firm: accounts.Organisation,
    examples: dict[str, object],
    role: Role | None,
    *,
    phases: tuple[str, ...],
    everything: bool = False,
    most: int = 1,
) -> Report:
    """A run as this caller, over the operations that it may use or over all."""
    secret = "" if role is None else secret_of(services, firm, role)
    headers = bearer(secret) if secret else {}
    allowed: frozenset[Permission] = frozenset() if role is None else ROLE_PERMISSIONS[role]
    operations = None if everything else operations_of(app, allowed)
    report = run(
        app,
        description(app, examples),
        headers=headers,
        phases=phases,
        operations=operations,
        most=most,
        spared=secret[:12],
    )
    if role is not None:
        answer = app.test_client().get("/v1/organisation", headers=headers)
        assert answer.status_code == 200, "the run has ended its own power, so what followed tried nothing"
    return report


def assert_kept(report: Report) -> None:
    listed = "\n\n".join(f"{' / '.join(where)}\n{said}" for where, said in report.faults.items())
    assert not report.faults, listed
    assert not any(status >= 500 for status in report.statuses)


@pytest.mark.parametrize("role", AT_THE_BOUNDS, ids=str)
def test_at_every_bound_the_answer_is_one_that_the_description_names(
    app: Flask, services: Services, firm: accounts.Organisation, examples: dict[str, object], role: Role | None
) -> None:
    report = as_caller(app, services, firm, examples, role, phases=("examples", "coverage"))
    assert_kept(report)
    assert report.statuses[200] > 20


@pytest.mark.parametrize("role", [role for role in CALLERS if role not in AT_THE_BOUNDS])
def test_what_each_role_may_do_is_answered_as_described(
    app: Flask, services: Services, firm: accounts.Organisation, examples: dict[str, object], role: Role
) -> None:
    report = as_caller(app, services, firm, examples, role, phases=("examples", "fuzzing"), most=2)
    assert_kept(report)
    assert report.statuses[200] > 5


@pytest.mark.long
@pytest.mark.parametrize("role", CALLERS, ids=str)
def test_whoever_sends_whatever_gets_an_answer_that_the_description_names(
    app: Flask, services: Services, firm: accounts.Organisation, examples: dict[str, object], role: Role | None
) -> None:
    report = as_caller(app, services, firm, examples, role, phases=PHASES, everything=True, most=40)
    assert_kept(report)
