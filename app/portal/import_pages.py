"""Pages that make codes from a file: choose it, see what it would make, confirm.

Between preview and confirmation the file lies in the data folder under the hash of its content, for one day.
"""

import re
import secrets
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from app.core.authorisation import Permission, current_organisation_id, current_principal, requires
from app.core.database import request_session
from app.core.errors import AppError, Invalid, NotFound
from app.core.services import services
from app.portal.goods_pages import product_choices
from app.registry import service as registry
from app.registry.imports.reading import MAX_FILE

blueprint = Blueprint("import_pages", __name__)

KEPT_SECONDS = 24 * 3600
KEPT_FILES = 10
"""Files of one organisation that wait for confirmation."""
FORM_OVERHEAD = 64 * 1024
_UPLOAD = re.compile(r"[0-9a-f]{64}")


@blueprint.url_value_preprocessor
def allow_files(endpoint: str | None, _values: dict[str, Any] | None) -> None:
    """Let files be larger than other bodies; told here, before the check of the form's token reads the body."""
    if endpoint == f"{blueprint.name}.{preview.__name__}":
        request.max_content_length = MAX_FILE + FORM_OVERHEAD


@blueprint.get("/imports/new")
@requires(Permission.BATCH_COMMISSION)
def choose_file() -> str:
    """Show the form that takes a file."""
    return _form(None)


@blueprint.post("/imports/new")
@requires(Permission.BATCH_COMMISSION)
def preview() -> str | tuple[str, int]:
    """Show what the file would make, or everything in it that has to be mended. Nothing is made."""
    file, product = request.files.get("file"), request.form.get("product") or None
    try:
        if file is None or not file.filename:
            raise Invalid("Choose a file.")
        data = file.stream.read()
        found = registry.preview_import(
            request_session(), organisation_id=current_organisation_id(), data=data, product=product
        )
    except AppError as error:
        return _form(error), int(error.status)
    return render_template(
        "registry/import_preview.html",
        preview=found,
        file_name=file.filename[:100],
        upload="" if found.fault_count else _keep(data),
        product=product or "",
    )


@blueprint.post("/imports")
@requires(Permission.BATCH_COMMISSION)
def confirm() -> Response | tuple[str, int]:
    """Queue the making of what was shown."""
    try:
        data = _kept(request.form.get("upload", ""))
        job = registry.request_import(
            services(), principal=current_principal(), data=data, product=request.form.get("product") or None
        )
    except AppError as error:
        return _form(error), int(error.status)
    return redirect(f"/jobs/{job.id}", 303)


def _form(error: AppError | None) -> str:
    choices = [("", "–"), *product_choices()]
    return render_template("registry/import_new.html", error=error, products=choices, product="")


def _keep(data: bytes) -> str:
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = sha256(data).hexdigest()
    partial = folder / f"{name}.{secrets.token_hex(4)}"
    partial.write_bytes(data)
    partial.replace(folder / name)
    newest_first = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    oldest = time.time() - KEPT_SECONDS
    for number, path in enumerate(newest_first):
        if number >= KEPT_FILES or path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)
    return name


def _kept(name: str) -> bytes:
    path = _folder() / name
    data = path.read_bytes() if _UPLOAD.fullmatch(name) and path.is_file() else None
    if data is None or sha256(data).hexdigest() != name:
        raise NotFound("The file of this preview is no longer kept. Choose it again.", code="upload_gone")
    return data


def _folder() -> Path:
    """Give the folder of this organisation: nobody can confirm another one's file."""
    return services().settings.data_dir / "uploads" / str(current_organisation_id())
