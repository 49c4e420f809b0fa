"""Pages of work that takes a while: its progress, and what came of it."""

from typing import Any

from flask import Blueprint, flash, jsonify, redirect, render_template, request, send_file
from flask_babel import gettext
from werkzeug.wrappers import Response

from app.core import jobs
from app.core.authorisation import (
    Permission,
    current_organisation_id,
    current_principal,
    needs_confirmation,
    requires,
)
from app.core.database import request_session
from app.core.errors import AppError, Conflict, Forbidden, Invalid, Malformed
from app.core.services import services
from app.registry import service as registry

blueprint = Blueprint("job_pages", __name__)

MAX_REASON = 2_000
"""Characters of a reason that are looked at; the use case says how many are too many."""
SHOWN_PARTS = 50
FINISHED = (jobs.JobState.DONE, jobs.JobState.FAILED)


@blueprint.get("/jobs/<job_id>")
@requires(Permission.JOB_READ)
def job(job_id: str) -> str:
    """Show one job; the page follows its progress by itself."""
    return _job_page(job_id, None)


@blueprint.post("/jobs/<job_id>/release")
@requires(Permission.BATCH_RELEASE)
@needs_confirmation
def release(job_id: str) -> Response | tuple[str, int]:
    """Release or refuse, as the second person, what another member asked for."""
    decision = request.form.get("decision", "")
    if decision not in ("release", "refuse"):
        raise Malformed("A choice of this form is missing.", code="choice_missing")
    request_session().rollback()
    try:
        registry.decide_release(
            services(),
            by=current_principal(),
            job_id=job_id,
            release=decision == "release",
            reason=request.form.get("reason", "")[:MAX_REASON],
        )
    except (Conflict, Forbidden, Invalid) as error:
        request_session().rollback()
        return _job_page(job_id, error), int(error.status)
    flash(gettext("Your decision is recorded."), "good")
    return redirect(f"/jobs/{job_id}", 303)


def _job_page(job_id: str, error: AppError | None) -> str:
    session = request_session()
    found = jobs.find_job(session, job_id, organisation_id=current_organisation_id())
    is_done = found.state is jobs.JobState.DONE
    is_labels = found.kind == registry.JobKind.LABELS
    handles = (
        [found.payload["handle"]] if is_labels else [one.handle for one in registry.batches_of_job(session, job_id)]
    )
    return render_template(
        "registry/job.html",
        job=found,
        finished=found.state in FINISHED,
        problem=found.problem,
        handles=handles,
        file_address=f"/jobs/{job_id}/file" if is_done and is_labels else None,
        waits=found.state is jobs.JobState.WAITING,
        asked=_asked_for(found) if found.kind == registry.JobKind.COMMISSION else None,
        may_release=current_principal().may(Permission.BATCH_RELEASE),
        asked_oneself=current_principal().person_id == found.asked_by_person,
        error=error,
    )


@blueprint.get("/jobs/<job_id>/state")
@requires(Permission.JOB_READ)
def job_state(job_id: str) -> Response:
    """Give the progress of one job to its page."""
    found = jobs.find_job(request_session(), job_id, organisation_id=current_organisation_id())
    answer: Response = jsonify(
        done=found.done, total=found.total, state=found.state.value, finished=found.state in FINISHED
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer


@blueprint.get("/jobs/<job_id>/file")
@requires(Permission.LABEL_PRINT)
def job_file(job_id: str) -> Response:
    """Send what a job has made."""
    found = jobs.find_job(request_session(), job_id, organisation_id=current_organisation_id())
    made = registry.finished_file(services(), found)
    return send_file(made.path, made.media_type, as_attachment=True, download_name=made.download_name, max_age=0)


def _asked_for(job: jobs.Job) -> list[dict[str, Any]]:
    """What a job was asked to make, for the person who decides about it."""
    return [
        {
            "product": part["product"] or part["case_prefix"],
            "size": part["size"],
            "lot": part["lot"],
            "note": part["note"],
        }
        for part in job.payload["parts"][:SHOWN_PARTS]
    ]
