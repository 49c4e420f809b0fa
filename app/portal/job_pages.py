"""Pages of work that takes a while: its progress, and what came of it."""

from flask import Blueprint, jsonify, render_template, send_file
from werkzeug.wrappers import Response

from app.core import jobs
from app.core.authorisation import Permission, current_organisation_id, requires
from app.core.database import request_session
from app.core.services import services
from app.registry import service as registry

blueprint = Blueprint("job_pages", __name__)

FINISHED = (jobs.JobState.DONE, jobs.JobState.FAILED)


@blueprint.get("/jobs/<job_id>")
@requires(Permission.JOB_READ)
def job(job_id: str) -> str:
    """Show one job; the page follows its progress by itself."""
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
