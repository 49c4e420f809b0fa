"""An authority acts where it has a say, names the country, and nobody else undoes it."""

from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.access import service as access
from app.accounts import service as accounts
from app.accounts.vocabulary import OrganisationKind
from app.core.authorisation import Principal, Role
from app.core.errors import AppError, Conflict, Forbidden, Invalid
from app.core.services import Services
from app.facts import service as facts
from app.verification import service
from app.verification.actions import Action
from tests.app.verification.verdict_builders import World, make_world
from tests.builders import ADMINISTRATOR, bearer, make_approved, make_organisation, on_sqlite, principal

pytestmark = on_sqlite

DETENTIONS = [Action.HOLD, Action.SEIZE, Action.SAMPLE]


@pytest.fixture
def world(services: Services) -> World:
    return make_world(services)


def authority(services: Services, *countries: str) -> Principal:
    pending = make_organisation(services, kind=OrganisationKind.AUTHORITY)
    approved = accounts.approve_organisation(
        services,
        issuer=pending.issuer,
        decided_by=ADMINISTRATOR,
        reason="Decree seen.",
        jurisdiction=set(countries),
    )
    return principal(approved, Role.INSPECTOR)


def event_of(services: Services, event_id: str | None) -> dict[str, object]:
    assert event_id is not None
    with Session(services.engine) as session:
        return facts.readable_body(facts.find_event(session, event_id))


@pytest.mark.parametrize("action", DETENTIONS)
def test_the_event_states_the_one_country_of_the_authority(world: World, action: Action) -> None:
    answer = world.ask(world.codes[0], authority(world.services, "MX"), action=action)
    assert answer.action is not None
    assert answer.action.recorded
    assert event_of(world.services, answer.action.event_id)["marchamo:country"] == "MX"


@pytest.mark.parametrize("action", DETENTIONS)
def test_outside_its_jurisdiction_an_authority_does_nothing(world: World, action: Action) -> None:
    size = world.services.log.head()[0]
    customs = authority(world.services, "US", "CA")
    size = world.services.log.head()[0]
    answer = world.ask(world.codes[0], customs, action=action, country="MX")
    assert answer.action is not None
    assert (answer.action.recorded, answer.action.code) == (False, "outside_jurisdiction")
    assert world.services.log.head()[0] == size


def test_an_authority_of_several_countries_says_which(world: World) -> None:
    customs = authority(world.services, "US", "CA")
    silent = world.ask(world.codes[0], customs, action=Action.HOLD)
    assert silent.action is not None
    assert silent.action.code == "country_needed"
    assert "CA, US" in (silent.action.message or "")
    named = world.ask(world.codes[0], customs, action=Action.HOLD, country="CA")
    assert named.action is not None
    assert event_of(world.services, named.action.event_id)["marchamo:country"] == "CA"


def test_a_whole_batch_is_held_under_the_same_rule(world: World) -> None:
    customs = authority(world.services, "US", "CA")
    with pytest.raises(Invalid) as silent:
        service.act_on_batch(world.services, handle=world.batch.handle, action=Action.HOLD, principal=customs)
    assert silent.value.code == "country_needed"
    with pytest.raises(Forbidden) as outside:
        service.act_on_batch(
            world.services, handle=world.batch.handle, action=Action.HOLD, principal=customs, country="MX"
        )
    assert outside.value.code == "outside_jurisdiction"
    held = service.act_on_batch(
        world.services, handle=world.batch.handle, action=Action.HOLD, principal=customs, country="US"
    )
    assert event_of(world.services, held.event_id)["marchamo:country"] == "US"


@pytest.mark.parametrize("detention", [Action.HOLD, Action.SEIZE])
def test_only_the_authority_that_detained_releases_even_beside_one_of_the_same_country(
    world: World, detention: Action
) -> None:
    mine, other = authority(world.services, "MX"), authority(world.services, "MX")
    service.act_on_batch(world.services, handle=world.batch.handle, action=detention, principal=mine)
    with pytest.raises(Conflict) as refused:
        service.act_on_batch(world.services, handle=world.batch.handle, action=Action.RELEASE, principal=other)
    assert refused.value.code == "detained_by_another"
    service.act_on_batch(world.services, handle=world.batch.handle, action=Action.RELEASE, principal=mine)


def test_a_firm_with_the_words_of_an_authority_is_none(world: World) -> None:
    pretender = replace(world.owner, role=Role.INSPECTOR, permissions=authority(world.services, "MX").permissions)
    answer = world.ask(world.codes[0], pretender, action=Action.HOLD, country="MX")
    assert answer.action is not None
    assert answer.action.code == "not_authority"


def test_a_shop_names_no_country(world: World) -> None:
    answer = world.ask(world.codes[0], world.shop(), action=Action.SELL, country="MX")
    assert answer.action is not None
    assert answer.action.code == "country_not_needed"


@pytest.mark.parametrize("action", [Action.SELL, Action.HOLD, Action.RECALL])
def test_a_suspended_organisation_acts_no_more(world: World, action: Action) -> None:
    kinds = {Action.SELL: OrganisationKind.SHOP, Action.HOLD: OrganisationKind.AUTHORITY}
    who = world.owner
    if action in kinds:
        role = Role.RETAILER if action is Action.SELL else Role.INSPECTOR
        who = principal(make_approved(world.services, kind=kinds[action]), role)
    with Session(world.services.engine) as session:
        issuer = accounts.organisation_by_id(session, who.organisation_id or 0).issuer
    accounts.suspend_organisation(world.services, issuer=issuer, decided_by=ADMINISTRATOR, reason="Under inquiry.")
    size = world.services.log.head()[0]
    with pytest.raises(AppError) as refused:
        world.ask(world.codes[0], who, action=action)
    assert refused.value.code == "organisation_not_approved"
    assert world.services.log.head()[0] == size


def test_the_api_takes_the_country_and_refuses_what_is_none(client: FlaskClient, services: Services) -> None:
    world = make_world(services)
    office = authority(services, "US", "CA")
    _, secret = access.create_api_key(
        services,
        principal=replace(office, role=Role.OWNER),
        name="post",
        role=Role.INSPECTOR,
        scopes=None,
        days=1,
    )
    address = f"/v1/batches/{world.batch.handle}/actions"
    for country, status in (("mx", 422), ("MX", 403), ("US", 201)):
        answer = client.post(address, json={"action": "hold", "country": country}, headers=bearer(secret))
        assert answer.status_code == status, answer.text
    body = {"code": world.codes[0], "action": "release", "country": "US"}
    released = client.post("/v1/verify", json=body, headers=bearer(secret)).get_json()
    assert released["action"]["code"] == "not_detained"  # it was held for the whole batch
