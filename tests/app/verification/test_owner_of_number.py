"""The owner of a GTIN answers for what others make in its name: it sees it, recalls it, locks it; nobody else does."""

from dataclasses import dataclass

import orjson
import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.core.authorisation import Principal, Role
from app.core.clock import now_ms
from app.core.errors import Forbidden, NotFound
from app.core.notices import NoticeKind, NoticeRow
from app.core.services import Services
from app.facts.service.projections import read_batch_state
from app.facts.vocabulary import Status
from app.registry import service as registry
from app.verification import service
from app.verification.actions import Action
from tests.app.registry.registry_builders import commissioned, make_product
from tests.app.verification.verdict_builders import World
from tests.builders import (
    YEAR_MS,
    api_key,
    bearer,
    gtin,
    make_approved_firm,
    on_sqlite,
    owner_email,
    principal,
    signed_in,
)

pytestmark = on_sqlite

OWNERS_ACTS = [Action.RECALL, Action.LOCK, Action.REPORT_STOLEN]


@dataclass(frozen=True)
class Delegated:
    """A brand, the maker that works for it, and a batch of the maker."""

    services: Services
    brand: accounts.Organisation
    maker: accounts.Organisation
    batch: registry.Batch
    right: accounts.Right

    @property
    def owner(self) -> Principal:
        return principal(self.brand)

    def act(self, action: Action, who: Principal) -> None:
        service.act_on_batch(self.services, handle=self.batch.handle, action=action, principal=who)

    def statuses(self) -> frozenset[Status]:
        with self.services.engine.connect() as connection:
            return read_batch_state(connection, self.batch.id).statuses

    def notices(self) -> list[dict[str, object]]:
        with Session(self.services.engine) as session:
            found = session.scalars(
                select(NoticeRow.data).where(
                    NoticeRow.organisation_id == self.maker.id, NoticeRow.kind == NoticeKind.OWNER_ACTED
                )
            )
            return [orjson.loads(data) for data in found]


@pytest.fixture
def delegated(services: Services) -> Delegated:
    brand, maker = make_approved_firm(services), make_approved_firm(services, prefix=None)
    make_product(services, brand, gtin=gtin(1))
    right = accounts.delegate_gtin(
        services,
        owner_organisation_id=brand.id,
        gtin=gtin(1),
        to_issuer=maker.issuer,
        quota=100,
        valid_until=now_ms() + YEAR_MS,
        actor=principal(brand),
    )
    batch = commissioned(services, maker, registry.CommissionRequest(product=gtin(1), quantity=3))
    return Delegated(services, brand, maker, batch, right)


@pytest.mark.parametrize(
    ("action", "status"),
    [(Action.RECALL, Status.RECALLED), (Action.LOCK, Status.LOCKED), (Action.REPORT_STOLEN, Status.STOLEN)],
)
def test_the_owner_speaks_about_a_batch_of_its_maker_who_is_told(
    delegated: Delegated, action: Action, status: Status
) -> None:
    delegated.act(action, delegated.owner)
    assert status in delegated.statuses()
    [told] = delegated.notices()
    assert (told["batch"], told["by"], told["whole_batch"]) == (delegated.batch.handle, delegated.brand.issuer, True)
    assert told["log_index"] == delegated.services.log.head()[0] - 1


def test_the_owner_speaks_about_single_units(delegated: Delegated) -> None:
    services = delegated.services
    with Session(services.engine) as session:
        codes = registry.codes_of_batch(session, services.sealer, delegated.batch, stem=services.settings.code_stem)
        text = next(iter(codes)).text
    world = World(services, None, delegated.batch, [text])  # type: ignore[arg-type]  # nothing of the firm is asked
    answer = world.ask(text, delegated.owner, action=Action.REPORT_STOLEN)
    assert answer.action is not None
    assert answer.action.recorded, answer.action
    assert delegated.notices()[0]["whole_batch"] is False


@pytest.mark.parametrize("action", OWNERS_ACTS)
def test_the_owner_can_recall_after_the_delegation_ended(delegated: Delegated, action: Action) -> None:
    accounts.revoke_right(
        delegated.services,
        reference=delegated.right.reference,
        reason="Contract ended.",
        revoked_by=delegated.owner,
        as_registry=False,
    )
    delegated.act(action, delegated.owner)


def test_what_the_maker_says_itself_needs_no_notice(delegated: Delegated) -> None:
    delegated.act(Action.RECALL, principal(delegated.maker))
    assert delegated.notices() == []


@pytest.mark.parametrize("action", [Action.ACTIVATE, Action.EXPORT])
def test_putting_them_into_trade_stays_with_the_maker(delegated: Delegated, action: Action) -> None:
    with pytest.raises(Forbidden):
        delegated.act(action, delegated.owner)


@pytest.mark.parametrize("action", [*OWNERS_ACTS, Action.LIFT_RECALL, Action.UNLOCK])
def test_a_stranger_and_another_maker_of_the_same_number_can_not(delegated: Delegated, action: Action) -> None:
    stranger = make_approved_firm(delegated.services, prefix="9529999")
    other = make_approved_firm(delegated.services, prefix=None)
    accounts.delegate_gtin(
        delegated.services,
        owner_organisation_id=delegated.brand.id,
        gtin=gtin(1),
        to_issuer=other.issuer,
        quota=100,
        valid_until=now_ms() + YEAR_MS,
        actor=delegated.owner,
    )
    for who in (stranger, other):
        with pytest.raises(Forbidden) as refused:
            delegated.act(action, principal(who))
        assert refused.value.code == "not_issuer"


def test_the_maker_does_not_recall_what_the_owner_makes_itself(delegated: Delegated) -> None:
    own = commissioned(delegated.services, delegated.brand, registry.CommissionRequest(product=gtin(1), quantity=1))
    with pytest.raises(Forbidden):
        service.act_on_batch(
            delegated.services, handle=own.handle, action=Action.RECALL, principal=principal(delegated.maker)
        )


def test_goods_made_before_the_delegation_are_not_the_owner_s(services: Services) -> None:
    """A right given today opens nothing of yesterday."""
    first = make_approved_firm(services)
    make_product(services, first, gtin=gtin(1))
    batch = commissioned(services, first, registry.CommissionRequest(product=gtin(1), quantity=1))
    with Session(services.engine) as session:
        prefix = accounts.list_rights(session, organisation_id=first.id)[0]
    accounts.revoke_right(
        services,
        reference=prefix.reference,
        reason="The prefix went to another firm.",
        revoked_by=principal(first),
        as_registry=True,
    )
    heir = make_approved_firm(services)
    accounts.delegate_gtin(
        services,
        owner_organisation_id=heir.id,
        gtin=gtin(1),
        to_issuer=first.issuer,
        quota=10,
        valid_until=now_ms() + YEAR_MS,
        actor=principal(heir),
    )
    with pytest.raises(Forbidden):
        service.act_on_batch(services, handle=batch.handle, action=Action.RECALL, principal=principal(heir))
    with Session(services.engine) as session:
        assert registry.list_batches_of_makers(session, organisation_id=heir.id).items == []
        with pytest.raises(NotFound):
            registry.find_batch_to_see(session, batch.handle, organisation_id=heir.id)


def test_the_owner_sees_the_batch_but_not_its_codes(client: FlaskClient, delegated: Delegated) -> None:
    services = delegated.services
    key = bearer(api_key(services, Role.OWNER, organisation=delegated.brand))
    listed = client.get("/v1/batches?of=makers", headers=key).get_json()["items"]
    assert [batch["handle"] for batch in listed] == [delegated.batch.handle]
    address = f"/v1/batches/{delegated.batch.handle}"
    assert client.get(address, headers=key).status_code == 200
    assert client.get(f"{address}/units", headers=key).status_code == 404
    assert client.post(f"{address}/labels", json={"count": 1}, headers=key).status_code == 404
    assert client.get("/v1/batches", headers=key).get_json()["items"] == []

    browser = signed_in(client, services, owner_email(services, delegated.brand))
    assert delegated.batch.handle in browser.get("/batches").text
    page = browser.get(f"/batches/{delegated.batch.handle}").text
    with Session(services.engine) as session:
        serial = registry.serial_at(session, delegated.batch, 0)
    assert serial not in page
    assert delegated.maker.name in page
    assert "/labels" not in page


def test_a_page_of_the_makers_batches_goes_on_where_the_last_one_ended(delegated: Delegated) -> None:
    more = [
        commissioned(delegated.services, delegated.maker, registry.CommissionRequest(product=gtin(1), quantity=1))
        for _ in range(2)
    ]
    with Session(delegated.services.engine) as session:
        first = registry.list_batches_of_makers(session, organisation_id=delegated.brand.id, limit=2)
        second = registry.list_batches_of_makers(
            session, organisation_id=delegated.brand.id, cursor=first.next_cursor, limit=2
        )
    handles = [batch.handle for batch in first.items + second.items]
    assert handles == [more[1].handle, more[0].handle, delegated.batch.handle]
    assert second.next_cursor is None
