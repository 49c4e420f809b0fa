"""Pages of products and batches: register, make codes, say what happened to a batch."""

import re
import secrets

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext
from werkzeug.wrappers import Response

from app.accounts import service as accounts
from app.core import jobs
from app.core.authorisation import Permission, current_organisation_id, current_principal, requires
from app.core.clock import now_ms
from app.core.database import request_session
from app.core.errors import AppError, Conflict, Invalid
from app.core.services import services
from app.facts import service as facts
from app.facts.service.projections import read_batch_state
from app.facts.vocabulary import Status
from app.portal.addresses import verify_path
from app.portal.sentences import translated
from app.portal.words import word
from app.registry import service as registry
from app.registry.expiry import from_date_text, shown_expiry
from app.registry.labels.layouts import LAYOUTS
from app.registry.unit_id import MAX_BATCH_SIZE
from app.verification import service as verification
from app.verification.actions import Action

blueprint = Blueprint("goods_pages", __name__)

PAGE = 50
CHOICES = 200
"""Products offered in the choice of the commission form."""
FIRST_CODES = 5
LABEL_JOBS = 5
WAITING_JOBS = 20
BATCH_ACTS = (
    Action.ACTIVATE,
    Action.RECALL,
    Action.LIFT_RECALL,
    Action.LOCK,
    Action.UNLOCK,
    Action.REPORT_STOLEN,
)
MAX_NOTE = 500
_WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")

PRODUCT_FIELDS = ("name", "brand", "gtin", "item", "sector", "description")
BATCH_FIELDS = ("once", "product", "quantity", "lot", "expiry", "note", "serials", "profile")


@blueprint.get("/products")
@requires(Permission.PRODUCT_READ)
def products() -> str:
    """List the organisation's products."""
    text, cursor = request.args.get("text", "")[:100].strip(), request.args.get("cursor") or None
    page = registry.list_products(
        request_session(), organisation_id=current_organisation_id(), cursor=cursor, limit=PAGE, text=text
    )
    principal = current_principal()
    return render_template(
        "registry/products.html",
        products=page.items,
        text=text,
        cursor=cursor,
        next_cursor=page.next_cursor,
        may_write=principal.may(Permission.PRODUCT_WRITE),
        may_commission=principal.may(Permission.BATCH_COMMISSION),
    )


@blueprint.get("/products/new")
@requires(Permission.PRODUCT_WRITE)
def new_product() -> str:
    """Show the form of a product."""
    return _product_form({"sector": registry.Sector.OTHER.value}, None)


@blueprint.post("/products/new")
@requires(Permission.PRODUCT_WRITE)
def register_product() -> Response | tuple[str, int]:
    """Register the product, or show the form again with what is wrong."""
    given = _given(PRODUCT_FIELDS)
    try:
        product = registry.register_product(
            services(),
            organisation_id=current_organisation_id(),
            name=given["name"],
            brand=given["brand"],
            description=given["description"],
            sector=_sector(given["sector"]),
            gtin=given["gtin"] or None,
            item=given["item"] or None,
        )
    except AppError as error:
        return _product_form(given, error), int(error.status)
    flash(gettext("%(name)s is registered.", name=product.name), "good")
    return redirect(f"/batches/new?product={product.reference}", 303)


@blueprint.get("/batches")
@requires(Permission.BATCH_READ)
def batches() -> str:
    """List the organisation's batches, newest first, below the work that still runs."""
    session, organisation_id = request_session(), current_organisation_id()
    cursor = request.args.get("cursor") or None
    page = registry.list_batches(session, organisation_id=organisation_id, cursor=cursor, limit=PAGE)
    recent = jobs.list_jobs(session, organisation_id=organisation_id, limit=LABEL_JOBS)
    waiting = registry.waiting_jobs(session, organisation_id=organisation_id)
    return render_template(
        "registry/batches.html",
        batches=page.items,
        cursor=cursor,
        next_cursor=page.next_cursor,
        jobs=[
            *(jobs.find_job(session, job_id, organisation_id=organisation_id) for job_id in waiting[:WAITING_JOBS]),
            *(job for job in recent if job.state in (jobs.JobState.QUEUED, jobs.JobState.RUNNING)),
        ],
        of_makers=registry.list_batches_of_makers(session, organisation_id=organisation_id, limit=PAGE).items
        if cursor is None
        else [],
        may_commission=current_principal().may(Permission.BATCH_COMMISSION),
    )


@blueprint.get("/batches/new")
@requires(Permission.BATCH_COMMISSION)
def new_batch() -> str:
    """Show the form that makes codes."""
    given = {"once": secrets.token_hex(16), "product": request.args.get("product", ""), "profile": "signed"}
    return _batch_form(given, None)


@blueprint.post("/batches/new")
@requires(Permission.BATCH_COMMISSION)
def commission() -> Response | tuple[str, int]:
    """Queue the making of codes, or show the form again with what is wrong."""
    given = _given(BATCH_FIELDS)
    try:
        job = registry.request_commission(
            services(),
            principal=current_principal(),
            requests=[_commission_request(given)],
            idempotency_key=given["once"] or None,
        )
    except AppError as error:
        # What was refused was not made: the mended form is new content and needs a new key.
        return _batch_form(given | {"once": secrets.token_hex(16)}, error), int(error.status)
    return redirect(f"/jobs/{job.id}", 303)


@blueprint.get("/batches/<handle>")
@requires(Permission.BATCH_READ)
def batch(handle: str) -> str:
    """Show one batch."""
    return _batch_page(handle, None)


@blueprint.post("/batches/<handle>/acts")
@requires(Permission.BATCH_READ)
def act_on_batch(handle: str) -> Response | tuple[str, int]:
    """Record what happened to the whole batch."""
    named = request.form.get("action", "")
    if named not in {action.value for action in BATCH_ACTS}:
        raise Invalid("This page does not know that act.")
    action = Action(named)
    # One's own, and what others made by one's right.
    registry.find_batch_to_see(request_session(), handle, organisation_id=current_organisation_id())
    request_session().rollback()
    try:
        verification.act_on_batch(
            services(),
            handle=handle,
            action=action,
            principal=current_principal(),
            key=request.form.get("once", "")[:24] or None,
            note=request.form.get("note", "").strip()[:MAX_NOTE],
        )
    except (Conflict, Invalid) as error:
        request_session().rollback()
        return _batch_page(handle, error), int(error.status)
    flash(gettext("Recorded: %(act)s", act=word(action)), "good")
    return redirect(f"/batches/{handle}", 303)


@blueprint.post("/batches/<handle>/labels")
@requires(Permission.LABEL_PRINT)
def make_labels(handle: str) -> Response | tuple[str, int]:
    """Queue the drawing of the labels of a batch."""
    wanted = registry.LabelRequest(handle=handle, layout=request.form.get("layout", ""))
    try:
        job = registry.request_labels(
            services(),
            principal=current_principal(),
            request=wanted,
            idempotency_key=request.form.get("once", "")[:64] or None,
        )
    except (Conflict, Invalid) as error:
        return _batch_page(handle, error), int(error.status)
    return redirect(f"/jobs/{job.id}", 303)


def _product_form(given: dict[str, str], error: AppError | None) -> str:
    sectors = [(sector.value, word(sector)) for sector in registry.Sector]
    return render_template("registry/product_new.html", given=given, error=error, sectors=sectors)


def _batch_form(given: dict[str, str], error: AppError | None) -> str:
    return render_template(
        "registry/batch_new.html", given=given, error=error, products=product_choices(), largest=MAX_BATCH_SIZE
    )


def product_choices() -> list[tuple[str, str]]:
    """Give the organisation's products as (reference, text) for a choice."""
    page = registry.list_products(request_session(), organisation_id=current_organisation_id(), limit=CHOICES)
    return [(product.reference, f"{product.name} ({product.reference})") for product in page.items]


def _batch_page(handle: str, error: AppError | None) -> str:
    session, principal, organisation_id = request_session(), current_principal(), current_organisation_id()
    found = registry.find_batch_to_see(session, handle, organisation_id=organisation_id)
    is_own = found.organisation_id == organisation_id
    statuses = sorted(read_batch_state(session.connection(), found.id).statuses)
    labels = jobs.list_jobs(session, organisation_id=organisation_id, kind=registry.JobKind.LABELS)
    signing = registry.signing_of(session, found)
    codes = []
    if is_own and signing.is_printable:  # whoever reads codes can print them once more
        stem = services().settings.code_stem
        codes = list(registry.codes_of_batch(session, services().sealer, found, stem=stem, count=FIRST_CODES))
    return render_template(
        "registry/batch.html",
        batch=found,
        error=error,
        statuses=statuses,
        expiry=expiry_date(found.expiry),
        layouts=[(layout.name, layout_title(layout.title, layout.fits)) for layout in LAYOUTS.values()],
        once=secrets.token_hex(16),
        label_jobs=[job for job in labels if job.payload.get("handle") == handle][:LABEL_JOBS],
        events=facts.batch_history(session, batch_id=found.id),
        codes=[{"serial": code.serial, "address": verify_path(code.text)} for code in codes],
        signing=signing,
        may_sign=is_own and principal.may(Permission.KEY_SIGN),
        maker=None if is_own else accounts.organisation_by_id(session, found.organisation_id).name,
        may_print=is_own and principal.may(Permission.LABEL_PRINT),
        may_activate=is_own and principal.may(Permission.UNIT_ACTIVATE) and Status.NOT_ACTIVATED in statuses,
        may_recall=principal.may(Permission.UNIT_RECALL),
        is_recalled=Status.RECALLED in statuses,
        is_locked=not {Status.LOCKED, Status.STOLEN}.isdisjoint(statuses),
    )


def layout_title(title: str, fits: str) -> str:
    """Name a label layout, with the sheets of the trade that it fits."""
    return f"{translated(title)} ({fits})" if fits else translated(title)


def _given(names: tuple[str, ...]) -> dict[str, str]:
    return {name: request.form.get(name, "").strip() for name in names}


def _sector(text: str) -> registry.Sector:
    try:
        return registry.Sector(text)
    except ValueError as error:
        raise Invalid("Choose a trade from the list.") from error


def _commission_request(given: dict[str, str]) -> registry.CommissionRequest:
    lines = [(number, line.strip()) for number, line in enumerate(given["serials"].splitlines(), 1) if line.strip()]
    quantity = given["quantity"]
    if bool(lines) == bool(quantity):
        raise Invalid("Give either the number of units or your own serial numbers.")
    if quantity and not _WHOLE_NUMBER.fullmatch(quantity):
        raise Invalid("The number of units is a whole number.")
    return registry.CommissionRequest(
        product=given["product"],
        profile=registry.Profile.COMPACT if given["profile"] == "compact" else registry.Profile.SIGNED,
        quantity=int(quantity) if quantity else None,
        serials=tuple(line for _, line in lines) or None,
        serial_places=tuple(f"line {number}" for number, _ in lines) or None,
        lot=given["lot"] or None,
        expiry=_six_digits(given["expiry"]),
        note=given["note"],
    )


def _six_digits(text: str) -> str | None:
    """Write the date of a date field (YYYY-MM-DD) as AI 17 does (YYMMDD)."""
    if not text:
        return None
    try:
        return from_date_text(text, now=now_ms())
    except ValueError as error:
        raise Invalid("The expiry date is not a date.") from error


def expiry_date(six_digits: str | None) -> str:
    """Write an AI 17 date as people read it; empty for None."""
    return shown_expiry(six_digits, now=now_ms()) if six_digits else ""
