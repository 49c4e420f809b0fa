"""A firm's own pages: the overview, and how far it is on the way to its first label."""

from dataclasses import dataclass

from flask import Blueprint, render_template
from flask_babel import gettext
from sqlalchemy.orm import Session

from app.access import service as access
from app.accounts import service as accounts
from app.accounts.vocabulary import OrganisationKind, OrganisationStatus, RightStatus
from app.core import jobs
from app.core.alarms import list_alarms
from app.core.authorisation import Permission, current_organisation_id, current_principal, requires
from app.core.clock import now_ms
from app.core.database import request_session
from app.core.services import services
from app.portal import alarm_pages
from app.portal.check_pages import acts_of
from app.portal.words import word
from app.registry import service as registry
from app.verification import service as verification

blueprint = Blueprint("portal_pages", __name__)

RECENT_JOBS = 3
RECENT_BATCHES = 5
WEEK_MS = 7 * 24 * 3_600_000
SCANNED_BATCHES = 50
"""Newest batches whose scans are counted."""
COUNTED = 200
"""Counting stops here: a figure on the overview is for orientation."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step to the first label."""

    text: str
    done: bool
    address: str | None = None
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of the overview; `at_least` when counting stopped."""

    text: str
    value: int
    address: str | None
    at_least: bool = False


@blueprint.get("/dashboard")
@requires(Permission.ORGANISATION_READ)
def dashboard() -> str:
    """Show where the organisation stands."""
    session, principal = request_session(), current_principal()
    organisation_id = current_organisation_id()
    organisation = accounts.organisation_by_id(session, organisation_id)
    figures: list[Figure] = []
    batches: list[registry.Batch] = []
    steps: list[Step] = []
    recent = jobs.list_jobs(session, organisation_id=organisation_id, limit=RECENT_JOBS)
    if principal.may(Permission.BATCH_READ):
        products = registry.list_products(session, organisation_id=organisation_id, limit=COUNTED)
        page = registry.list_batches(session, organisation_id=organisation_id, limit=COUNTED)
        batches = page.items[:RECENT_BATCHES]
        figures = [
            Figure(gettext("Products"), len(products.items), "/products", products.next_cursor is not None),
            Figure(gettext("Batches"), len(page.items), "/batches", page.next_cursor is not None),
            Figure(
                gettext("Units with a code"),
                sum(batch.quantity for batch in page.items),
                "/batches",
                page.next_cursor is not None,
            ),
            _scans(page),
        ]
    waiting = _waiting(session) if principal.may(Permission.ORGANISATION_APPROVE) else []
    makes_goods = principal.may(Permission.BATCH_COMMISSION)
    if organisation.kind is OrganisationKind.FIRM and principal.may(Permission.ORGANISATION_MANAGE) and not batches:
        steps = _steps(organisation, has_products=bool(figures and figures[0].value))
    return render_template(
        "portal/dashboard.html",
        organisation=organisation,
        figures=waiting or (figures if any(figure.value for figure in figures) else []),
        steps=steps,
        jobs=recent if principal.may(Permission.JOB_READ) else [],
        batches=batches,
        may_commission=makes_goods,
        acts=[] if makes_goods else [word(act) for act in acts_of(principal)],
    )


def _waiting(session: Session) -> list[Figure]:
    """Count what waits for the registry's administrators."""
    applications = accounts.list_organisations(session, status=OrganisationStatus.PENDING)
    goes_on = now_ms() - alarm_pages.GOES_ON_MS
    return [
        Figure(
            gettext("Organisations that wait"),
            len(applications.items),
            "/admin",
            applications.next_cursor is not None,
        ),
        Figure(gettext("Numbers that wait"), len(accounts.list_right_requests(session)), "/admin"),
        Figure(gettext("Lost accounts"), len(access.list_resets(session, organisation_id=None)), "/admin/factor-reset"),
        Figure(
            gettext("Alarms that go on"),
            sum(alarm.last_at > goes_on for alarm in list_alarms(session)),
            "/admin/alarms",
        ),
    ]


def _scans(batches: registry.BatchPage) -> Figure:
    """Count the scans of the newest batches' units, newest first."""
    counted = verification.count_scans(
        services(), batch_ids=[batch.id for batch in batches.items[:SCANNED_BATCHES]], since=now_ms() - WEEK_MS
    )
    more = len(batches.items) > SCANNED_BATCHES or batches.next_cursor is not None
    return Figure(gettext("Scans in 7 days"), counted.scans, None, counted.at_least or more)


def _steps(organisation: accounts.Organisation, *, has_products: bool) -> list[Step]:
    rights = accounts.list_rights(request_session(), organisation_id=organisation.id)
    has_right = any(right.status is RightStatus.APPROVED for right in rights)
    is_approved = organisation.status is OrganisationStatus.APPROVED
    is_refused = organisation.status is OrganisationStatus.REFUSED
    return [
        Step(
            gettext("The registry approves your organisation"),
            is_approved,
            "/organisation" if is_refused else None,
            gettext("It has refused the application: read why, mend that, and ask again.")
            if is_refused
            else gettext("A person looks at your registration. Until then you can look around here."),
        ),
        Step(
            gettext("Ask for the right to your bar code numbers"),
            has_right,
            "/organisation",
            gettext("Not needed for goods without a bar code number: those get an article number of your own."),
        ),
        Step(gettext("Register a product"), has_products, "/products/new" if is_approved else None),
        Step(gettext("Make codes for a batch"), False, "/batches/new" if is_approved else None),
        Step(gettext("Print the labels"), False),
    ]
