"""Label sheets of a batch: asked for as a job, drawn, read back symbol by symbol, and only then released."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy.orm import Session

from app.core.authorisation import Principal
from app.core.database import write_session
from app.core.errors import AppError, Invalid, NotFound, NotSignedIn
from app.core.jobs import Handler, Job, JobState, Progress, enqueue
from app.core.services import Services
from app.registry.labels.check import CheckReport, Fault, verify_pdf, verify_zpl
from app.registry.labels.sheets import LAYOUTS, Label, LabelError, layout_named, render_pdf
from app.registry.labels.zpl import render_zpl
from app.registry.service.batches import find_batch
from app.registry.service.codes import codes_of_batch
from app.registry.service.signing import require_printable
from app.registry.values import Batch, UnitCode
from app.registry.vocabulary import JobKind, LabelFormat
from scanners.codes.identity import CodeKind
from scanners.codes.symbol import ErrorCorrection

MAX_LABELS = 50_000
"""Labels of one file; more are asked for in parts."""
DEFAULT_LAYOUT = "letter-3x10"
_ZPL_PAGE = 500
_MEDIA_TYPES = {LabelFormat.PDF: "application/pdf", LabelFormat.ZPL: "text/plain; charset=utf-8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRequest:
    """Labels of one batch: from position `start` on, `count` of them (None: all that follow).

    `skip` leaves places of the first sheet free; `dpi` is the printer's resolution (ZPL only).
    """

    handle: str
    layout: str = DEFAULT_LAYOUT
    format: LabelFormat = LabelFormat.PDF
    start: int = 0
    count: int | None = None
    skip: int = 0
    dpi: int = 203
    error_correction: ErrorCorrection = ErrorCorrection.M


@dataclass(frozen=True, slots=True)
class FinishedFile:
    """What a job has made, ready to send."""

    path: Path
    media_type: str
    download_name: str


def request_labels(
    services: Services, *, principal: Principal, request: LabelRequest, idempotency_key: str | None = None
) -> Job:
    """Queue the drawing of labels of a batch of the caller's organisation; raises NotFound, Invalid, Conflict."""
    if principal.organisation_id is None:
        raise NotSignedIn
    with Session(services.engine) as session:
        batch = find_batch(session, request.handle, organisation_id=principal.organisation_id)
        require_printable(session, batch)
    count = _checked_count(request, batch)
    payload = {
        "handle": request.handle,
        "layout": request.layout,
        "format": request.format.value,
        "start": request.start,
        "count": count,
        "skip": request.skip,
        "dpi": request.dpi,
        "error_correction": request.error_correction.value,
    }
    with write_session(services.engine) as session:
        return enqueue(
            session,
            kind=JobKind.LABELS,
            organisation_id=principal.organisation_id,
            created_by=principal.actor,
            idempotency_key=idempotency_key,
            payload=payload,
            digest=sha256(orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)).hexdigest(),
            total=2 * count,  # drawn, then read back
        )


def labels_handler(services: Services) -> Handler:
    """What the worker runs for a labels job."""
    return partial(_run, services)


def finished_file(services: Services, job: Job) -> FinishedFile:
    """The file that a job has made; raises NotFound when there is none (yet, or any more)."""
    if job.kind != JobKind.LABELS or job.state is not JobState.DONE or job.result is None:
        raise NotFound("This job has no finished file.", code="no_file")
    kind = LabelFormat(job.payload["format"])
    path = _folder(services) / f"{job.id}.{kind}"
    if not path.is_file():
        raise NotFound("The file of this job is no longer kept; print the labels again.", code="no_file")
    return FinishedFile(path, _MEDIA_TYPES[kind], f"labels-{job.payload['handle']}-{job.payload['start'] + 1}.{kind}")


def label_of(batch: Batch, code: UnitCode, *, note: str) -> Label:
    """What stands on a unit's label: the product's name, then GS1 human-readable elements, the serial last."""
    lines = [batch.product_name] if batch.product_name else []
    if batch.kind is CodeKind.CASE:
        return Label(code.text, (*lines, f"(00) {code.serial}"), note)
    lines.append(f"(01) {batch.reference}" if batch.kind is CodeKind.GTIN else batch.reference)
    details = [f"({ai}) {value}" for ai, value in (("10", batch.lot), ("17", batch.expiry)) if value]
    if details:
        lines.append(" ".join(details))
    return Label(code.text, (*lines, f"(21) {code.serial}"), note)


def labels_of_batch(
    services: Services, session: Session, batch: Batch, *, start: int = 0, count: int | None = None
) -> Iterator[Label]:
    """The labels of a batch in order of position."""
    stem = services.settings.code_stem
    note = stem.partition("://")[2].lower()
    codes = codes_of_batch(session, services.sealer, batch, stem=stem, start=start, count=count)
    return (label_of(batch, code, note=note) for code in codes)


def label_at(services: Services, session: Session, batch: Batch, position: int) -> Label:
    """The label of the unit at a position; raises NotFound."""
    if not 0 <= position < batch.quantity:
        raise NotFound("There is no such unit.", code="unknown_unit")
    return next(labels_of_batch(services, session, batch, start=position, count=1))


def _checked_count(request: LabelRequest, batch: Batch) -> int:
    if request.layout not in LAYOUTS:
        raise Invalid(
            "There is no such label layout.", code="unknown_layout", fix=f"Choose one of {', '.join(LAYOUTS)}."
        )
    if not 0 <= request.start < batch.quantity:
        raise Invalid("The batch has no unit at this position.", code="start")
    available = batch.quantity - request.start
    count = available if request.count is None else request.count
    if not 1 <= count <= available:
        raise Invalid("From there on the batch has %(count)s units.", code="count", count=available)
    if count > MAX_LABELS:
        raise Invalid(
            "One file holds at most %(limit)s labels.",
            code="too_many_labels",
            fix="Ask for them in parts, by start and count.",
            limit=MAX_LABELS,
        )
    if not 0 <= request.skip < LAYOUTS[request.layout].labels_per_page:
        raise Invalid("So many labels can not be skipped on one sheet.", code="skip")
    if request.dpi not in (203, 300, 600):
        raise Invalid("A label printer has 203, 300 or 600 dots an inch.", code="dpi")
    return count


def _run(services: Services, job: Job, progress: Progress) -> dict[str, Any]:
    request = LabelRequest(
        handle=job.payload["handle"],
        layout=job.payload["layout"],
        format=LabelFormat(job.payload["format"]),
        start=job.payload["start"],
        count=job.payload["count"],
        skip=job.payload["skip"],
        dpi=job.payload["dpi"],
        error_correction=ErrorCorrection(job.payload["error_correction"]),
    )
    folder = _folder(services)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{job.id}.{request.format}"
    unchecked = path.with_suffix(".unchecked")  # an attempt that died leaves this name only; the next overwrites it
    count = request.count or 0
    with Session(services.engine) as session:
        batch = find_batch(session, request.handle, organisation_id=job.organisation_id)
        labels = partial(labels_of_batch, services, session, batch, start=request.start, count=count)
        draw = _draw_pdf if request.format is LabelFormat.PDF else _draw_zpl
        try:
            report, facts = draw(unchecked, request, labels, lambda done: progress(done, 2 * count))
        except LabelError as error:
            unchecked.unlink(missing_ok=True)
            raise Invalid(error.message, code=error.code, fix=error.fix) from error
    if not report.released or report.read != count:
        unchecked.unlink(missing_ok=True)
        raise AppError(
            "Of %(count)s labels only %(read)s could be read back from the finished file; it is not released.",
            code="labels_unreadable",
            fix="Choose a layout with larger labels.",
            count=count,
            read=report.read,
        )
    unchecked.replace(path)
    return {"labels": count, "checked": report.read, "bytes": path.stat().st_size, **facts}


Drawn = tuple[CheckReport, dict[str, Any]]


def _draw_pdf(
    path: Path, request: LabelRequest, labels: Callable[[], Iterator[Label]], progress: Callable[[int], None]
) -> Drawn:
    layout = layout_named(request.layout)
    with path.open("wb") as out:
        run = render_pdf(
            labels(),
            layout,
            out=out,
            title=f"Batch {request.handle}",
            error_correction=request.error_correction,
            skip=request.skip,
            progress=progress,
        )
    texts = (label.text for label in labels())
    report = verify_pdf(path, texts, layout=layout, skip=request.skip, progress=lambda done: progress(run.count + done))
    return report, {"pages": run.pages, "incomplete": run.incomplete}


def _draw_zpl(
    path: Path, request: LabelRequest, labels: Callable[[], Iterator[Label]], progress: Callable[[int], None]
) -> Drawn:
    layout = layout_named(request.layout)
    drawn = read = 0
    faults: list[Fault] = []
    remaining = labels()
    with path.open("w", encoding="utf-8") as out:
        while page := list(islice(remaining, _ZPL_PAGE)):
            commands = list(render_zpl(page, layout, dpi=request.dpi, error_correction=request.error_correction))
            report = verify_zpl(commands, [label.text for label in page])
            out.writelines(command + "\n" for command in commands)
            drawn, read = drawn + len(page), read + report.read
            faults += (*report.missing, *report.wrong)
            progress(2 * drawn)
    return CheckReport(drawn, read, tuple(faults), ()), {"pages": drawn, "incomplete": 0}


def _folder(services: Services) -> Path:
    return services.settings.data_dir / "labels"
