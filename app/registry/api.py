"""Routes of the registry under /v1: parse, call one use case, answer."""

from typing import Any

from flask import Response, jsonify, request, send_file
from sqlalchemy.orm import Session

from app.core import jobs
from app.core.api import Blueprint
from app.core.authorisation import Permission, current_organisation_id, current_principal, requires
from app.core.database import request_session
from app.core.errors import Invalid
from app.core.services import services
from app.registry import schemas, service
from app.registry.answers import batch_answer, job_answer, preview_answer, product_answer, unit_answer
from app.registry.imports.reading import MAX_FILE
from app.registry.labels.errors import LabelError
from app.registry.labels.layouts import layout_named
from app.registry.labels.sheets import render_png, render_svg
from app.registry.labels.zpl import render_zpl
from app.registry.references import parse_reference
from app.registry.vocabulary import LabelFormat, Profile, Sector
from scanners.codes.errors import CodeError
from scanners.codes.symbol import ErrorCorrection

blueprint = Blueprint("registry", __name__, url_prefix="/v1", description="Products, batches, units, labels and jobs")

MAX_COMMISSION_BODY = 16 * 1024 * 1024
"""A request with half a million serials of 20 characters."""
FORM_OVERHEAD = 64 * 1024

Answer = dict[str, Any]
Accepted = tuple[Answer, int, dict[str, str]]

IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "description": "the same key with the same content returns the first job; 1 to 128 visible ASCII characters",
    "schema": {"type": "string", "maxLength": 128},
}
LOCATION = {"Location": {"description": "address of the job", "schema": {"type": "string"}}}


@blueprint.before_request
def raise_body_limits() -> None:
    """Two routes take more than the usual two megabytes."""
    if request.endpoint == "registry.commission":
        request.max_content_length = MAX_COMMISSION_BODY
    elif request.endpoint == "registry.import_file":
        request.max_content_length = MAX_FILE + FORM_OVERHEAD


@blueprint.route("/products", methods=["GET"])
@requires(Permission.PRODUCT_READ)
@blueprint.arguments(schemas.ProductQuery, location="query")
@blueprint.response(200, schemas.ProductListSchema)
def list_products(query: dict[str, Any]) -> Answer:
    """The caller's products by reference."""
    page = service.list_products(
        request_session(),
        organisation_id=current_organisation_id(),
        cursor=query.get("cursor"),
        limit=query["limit"],
        text=query["q"],
    )
    return {"items": [product_answer(product) for product in page.items], "next_cursor": page.next_cursor}


@blueprint.route("/products", methods=["POST"])
@requires(Permission.PRODUCT_WRITE)
@blueprint.arguments(schemas.NewProductSchema)
@blueprint.response(201, schemas.ProductSchema)
def register_product(entry: dict[str, Any]) -> Answer:
    """Register a product; it goes on the ledger."""
    sector = Sector(entry.pop("sector"))
    product = service.register_product(services(), organisation_id=current_organisation_id(), sector=sector, **entry)
    return product_answer(product)


@blueprint.route("/products/<path:reference>", methods=["GET"])
@requires(Permission.PRODUCT_READ)
@blueprint.response(200, schemas.ProductSchema)
def find_product(reference: str) -> Answer:
    """One of the caller's products, by GTIN or ISSUER/ITEM."""
    return product_answer(service.find_product(request_session(), reference, organisation_id=current_organisation_id()))


@blueprint.route("/batches", methods=["GET"])
@requires(Permission.BATCH_READ)
@blueprint.arguments(schemas.BatchQuery, location="query")
@blueprint.response(200, schemas.BatchListSchema)
def list_batches(query: dict[str, Any]) -> Answer:
    """The caller's batches, newest first; or those that others made by its right."""
    if query["of"] == "makers":
        page = service.list_batches_of_makers(
            request_session(),
            organisation_id=current_organisation_id(),
            cursor=query.get("cursor"),
            limit=query["limit"],
        )
        return {"items": [batch_answer(batch) for batch in page.items], "next_cursor": page.next_cursor}
    reference = parse_reference(query["product"])[1] if "product" in query else None
    page = service.list_batches(
        request_session(),
        organisation_id=current_organisation_id(),
        cursor=query.get("cursor"),
        limit=query["limit"],
        reference=reference,
    )
    return {"items": [batch_answer(batch) for batch in page.items], "next_cursor": page.next_cursor}


@blueprint.route("/batches", methods=["POST"])
@requires(Permission.BATCH_COMMISSION)
@blueprint.arguments(schemas.NewBatchSchema)
@blueprint.response(202, schemas.JobSchema, headers=LOCATION)
@blueprint.doc(parameters=[IDEMPOTENCY_KEY])
def commission(entry: dict[str, Any]) -> Accepted:
    """Commission units: a job, whose result names the batch."""
    serials = entry.pop("serials", None)
    asked = service.CommissionRequest(
        **{**entry, "profile": Profile(entry["profile"])}, serials=None if serials is None else tuple(serials)
    )
    return _accepted(
        service.request_commission(
            services(), principal=current_principal(), requests=[asked], idempotency_key=idempotency_key()
        )
    )


@blueprint.route("/batches/<handle>", methods=["GET"])
@requires(Permission.BATCH_READ)
@blueprint.response(200, schemas.BatchSchema)
def find_batch(handle: str) -> Answer:
    """One batch of the caller's, or of a maker that made it by the caller's right."""
    return batch_answer(service.find_batch_to_see(request_session(), handle, organisation_id=current_organisation_id()))


@blueprint.route("/batches/<handle>/units", methods=["GET"])
@requires(Permission.BATCH_READ)
@blueprint.arguments(schemas.UnitQuery, location="query")
@blueprint.response(200, schemas.UnitListSchema)
def list_units(query: dict[str, Any], handle: str) -> Answer:
    """Units of one of the caller's batches with their codes, in order of position."""
    session = request_session()
    batch = service.find_batch(session, handle, organisation_id=current_organisation_id())
    codes = service.codes_of_batch(
        session,
        services().sealer,
        batch,
        stem=services().settings.code_stem,
        start=query["start"],
        count=query["limit"],
    )
    items = [unit_answer(code) for code in codes]
    following = query["start"] + len(items)
    return {"items": items, "next_start": following if items and following < batch.quantity else None}


@blueprint.route("/batches/<handle>/labels", methods=["POST"])
@requires(Permission.LABEL_PRINT)
@blueprint.arguments(schemas.LabelsSchema, required=False)
@blueprint.response(202, schemas.JobSchema, headers=LOCATION)
@blueprint.doc(parameters=[IDEMPOTENCY_KEY])
def print_labels(entry: dict[str, Any], handle: str) -> Accepted:
    """Draw labels of a batch: a job, whose file is released once every label was read back."""
    entry["format"] = LabelFormat(entry["format"])
    entry["error_correction"] = ErrorCorrection(entry["error_correction"])
    return _accepted(
        service.request_labels(
            services(),
            principal=current_principal(),
            request=service.LabelRequest(handle=handle, **entry),
            idempotency_key=idempotency_key(),
        )
    )


@blueprint.route("/batches/<handle>/labels/<int:position>", methods=["GET"])
@requires(Permission.LABEL_PRINT)
@blueprint.arguments(schemas.LabelQuery, location="query")
@blueprint.response(200, content_type="image/svg+xml")
@blueprint.alt_response(200, content_type="image/png")
def draw_label(query: dict[str, Any], handle: str, position: int) -> Response:
    """One label as SVG, PNG or ZPL."""
    session = request_session()
    batch = service.find_batch(session, handle, organisation_id=current_organisation_id())
    label = service.label_at(services(), session, batch, position)
    return _drawn(label, query)


@blueprint.route("/imports", methods=["POST"])
@requires(Permission.BATCH_COMMISSION)
@blueprint.arguments(schemas.ImportQuery, location="query")
@blueprint.arguments(schemas.ImportForm, location="upload")
@blueprint.response(202, schemas.JobSchema, headers=LOCATION)
@blueprint.alt_response(200, schema=schemas.PreviewSchema, description="a dry run: what the file would commission")
def import_file(query: dict[str, Any], form: dict[str, Any]) -> Accepted | Response | Answer:
    """Commission what a CSV or XLSX file lists; the same file again returns the first job."""
    if "file" not in request.files:
        raise Invalid("Send the file as the part “file” of a multipart form.", code="file_missing")
    given = {
        "data": form["file"].read(),
        "product": form.get("product"),
        "profile": Profile(form["profile"]),
    }
    if query["dry_run"]:
        organisation_id = current_organisation_id()
        with Session(services().engine) as session:
            preview = service.preview_import(session, organisation_id=organisation_id, **given)
        return _json(preview_answer(preview))
    return _accepted(service.request_import(services(), principal=current_principal(), **given))


@blueprint.route("/jobs", methods=["GET"])
@requires(Permission.JOB_READ)
@blueprint.response(200, schemas.JobListSchema)
def list_jobs() -> Answer:
    """The caller's latest jobs, newest first."""
    found = jobs.list_jobs(request_session(), organisation_id=current_organisation_id())
    return {"items": [job_answer(job) for job in found]}


@blueprint.route("/jobs/<job_id>", methods=["GET"])
@requires(Permission.JOB_READ)
@blueprint.response(200, schemas.JobSchema)
def find_job(job_id: str) -> Answer:
    """One of the caller's jobs, with its progress."""
    return job_answer(jobs.find_job(request_session(), job_id, organisation_id=current_organisation_id()))


@blueprint.route("/jobs/<job_id>/release", methods=["POST"])
@requires(Permission.BATCH_RELEASE)
@blueprint.arguments(schemas.ReleaseSchema)
@blueprint.response(200, schemas.JobSchema)
def release_job(entry: dict[str, Any], job_id: str) -> Answer:
    """Release or refuse, as the second person, codes that another member asked for; it goes on the ledger."""
    decided = service.decide_release(
        services(),
        by=current_principal(),
        job_id=job_id,
        release=entry["decision"] == "release",
        reason=entry["reason"],
    )
    return job_answer(decided)


@blueprint.route("/jobs/<job_id>/file", methods=["GET"])
@requires(Permission.JOB_READ)
@blueprint.response(200, content_type="application/pdf")
def job_file(job_id: str) -> Response:
    """The file that a labels job has made."""
    job = jobs.find_job(request_session(), job_id, organisation_id=current_organisation_id())
    return send_finished(service.finished_file(services(), job))


def send_finished(finished: service.FinishedFile) -> Response:
    """The answer that downloads a finished file."""
    return send_file(
        finished.path.absolute(),
        mimetype=finished.media_type,
        as_attachment=True,
        download_name=finished.download_name,
        max_age=0,
    )


def idempotency_key() -> str | None:
    """The caller's Idempotency-Key; raises Invalid when it is not one."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (1 <= len(key) <= 128 and key.isascii() and key.isprintable()):
        raise Invalid("An Idempotency-Key has 1 to 128 visible ASCII characters.", code="idempotency_key")
    return key


def _accepted(job: jobs.Job) -> Accepted:
    return job_answer(job), 202, {"Location": f"/v1/jobs/{job.id}"}


def _json(answer: Answer) -> Response:
    # A Response goes out as it is: flask-smorest would put another status and schema on a dictionary.
    response: Response = jsonify(answer)
    return response


def _drawn(label: Any, query: dict[str, Any]) -> Response:
    layout = layout_named(query["layout"])
    level = ErrorCorrection(query["error_correction"])
    try:
        if query["format"] == "png":
            return Response(render_png([label], layout, dpi=query["dpi"], error_correction=level), mimetype="image/png")
        if query["format"] == "zpl":
            text = "\n".join(render_zpl([label], layout, dpi=query["dpi"], error_correction=level))
            return Response(text, mimetype="text/plain")
        return Response(render_svg(label, layout, error_correction=level), mimetype="image/svg+xml")
    except (LabelError, CodeError) as error:
        raise Invalid(error.message, code=error.code, fix=error.fix) from error
