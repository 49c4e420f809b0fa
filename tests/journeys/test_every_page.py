"""Every page, in both languages on a phone, and on a desk: no barrier that axe knows, no sideways scrolling."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from app.access import service as access
from app.core import jobs
from app.registry import service as registry
from tests.app.access.people_builders import HERE, somebody, with_code_app
from tests.builders import ADMINISTRATOR, make_organisation, make_registry, principal
from tests.journeys.stories import Goods, make_goods
from tests.journeys.visiting import DESK, PHONE, Site, Visitor

pytestmark = pytest.mark.browser

everywhere = pytest.mark.parametrize(
    "visitor",
    [("es", PHONE), pytest.param(("en", PHONE), marks=pytest.mark.long), ("es", DESK)],
    indirect=True,
    ids=["spanish phone", "english phone", "spanish desk"],  # Spanish words are the longer ones
)
PUBLIC = [
    "/",
    "/check",
    "/transparency",
    "/ledger",
    "/v1/docs",
    "/sign-in",
    "/sign-up",
    "/sign-up/unknown",
    "/join/unknown",
    "/recover",
    "/nowhere",
    "/verify/01/1",
]
FIRM = [
    "/dashboard",
    "/products",
    "/products/new",
    "/batches",
    "/batches/new",
    "/imports/new",
    "/organisation",
    "/organisation/keys",
    "/organisation/keys/advice",
    "/organisation/keys/own",
    "/organisation/limits",
    "/organisation/people",
    "/organisation/roles",
    "/organisation/acts",
    "/organisation/machines",
    "/organisation/webhooks",
    "/devices",
    "/account",
    "/account/factors",
    "/sign-in/again",
    "/organisation/people/factor-reset?email=somebody@example.org",
    "/check",
]


@pytest.fixture(scope="module")
def goods(site: Site) -> Goods:
    make_organisation(site.services, name="Café por aprobar")
    return make_goods(
        site.services, prefix="9523333", name="Un producto de nombre bastante largo, edición de aniversario 750 ml"
    )


def _faults(visitor: Visitor, paths: list[str]) -> dict[str, list[str]]:
    found = {}
    for path in paths:
        visitor.goes_to(path)
        faults = visitor.barriers()
        if visitor.is_wider_than_the_screen():
            faults.append("wider than the screen")
        if faults:
            found[path] = faults
    return found


def test_the_search_for_barriers_finds_one(visitor: Visitor) -> None:
    visitor.goes_to("/")
    visitor.page.evaluate(
        "document.querySelector('main').insertAdjacentHTML('beforeend', '<img src=\"/static/seal.svg\">')"
    )
    assert any("image-alt" in fault for fault in visitor.barriers())


@everywhere
def test_public_pages(visitor: Visitor, goods: Goods) -> None:
    forged = goods.address()[:-1] + str((int(goods.address()[-1]) + 1) % 10)
    assert _faults(visitor, [*PUBLIC, goods.address(), forged]) == {}


@everywhere
def test_pages_of_a_firm(visitor: Visitor, goods: Goods, site: Site) -> None:
    with Session(site.services.engine) as session:
        (job, *_) = jobs.list_jobs(session, organisation_id=goods.firm.id)
    request = registry.CommissionRequest(product=goods.product.reference, quantity=100_001)
    waiting = registry.request_commission(site.services, principal=principal(goods.firm), requests=[request])
    visitor.signs_in(goods.owner)
    pages = [*FIRM, f"/batches/{goods.batch.handle}", f"/jobs/{job.id}", f"/jobs/{waiting.id}", goods.address()]
    assert _faults(visitor, pages) == {}


@pytest.mark.parametrize("visitor", [("es", PHONE), ("en", DESK)], indirect=True, ids=["spanish phone", "english desk"])
def test_pages_of_the_registry(visitor: Visitor, goods: Goods, site: Site) -> None:
    email = f"admin.{visitor.page.viewport_size['width']}@example.org" if visitor.page.viewport_size else ""
    make_registry(site.services, email=email)
    visitor.signs_in(email)
    locked_out = somebody(site.services)
    with_code_app(site.services, locked_out)
    access.request_factor_reset(
        site.services, by=ADMINISTRATOR, email=locked_out.email, reason="Came in person.", visitor=HERE
    )
    pages = ["/dashboard", "/admin", "/admin/organisations", "/admin/factor-reset", "/admin/alarms", "/organisation"]
    assert _faults(visitor, pages) == {}


END_OF_HEAD = "Math.max(...[...document.querySelectorAll('.top-inner *')].map(e => e.getBoundingClientRect().right))"


@pytest.mark.parametrize("visitor", [("es", DESK)], indirect=True)
def test_the_head_of_a_page_fits_at_every_width_between_a_phone_and_a_desk(visitor: Visitor, goods: Goods) -> None:
    visitor.signs_in(goods.owner)
    too_narrow = []
    for width in (360, 700, 1000, 1100, 1215, 1216, 1280):
        visitor.page.set_viewport_size({"width": width, "height": 800})
        visitor.goes_to("/organisation")
        end = visitor.page.evaluate(END_OF_HEAD)
        if end > width - 8:
            too_narrow.append((width, end))
    assert too_narrow == []
