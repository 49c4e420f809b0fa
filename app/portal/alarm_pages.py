"""The registry's security alarms, for its administrators."""

from dataclasses import dataclass

from flask import Blueprint, render_template
from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

from app.core.alarms import AlarmKind, list_alarms
from app.core.authorisation import Permission, requires
from app.core.clock import now_ms
from app.core.database import request_session
from app.verification import limits

blueprint = Blueprint("alarm_pages", __name__)

GOES_ON_MS = 3_600_000
WORDS: dict[AlarmKind, LazyString] = {
    AlarmKind.GUESSING_ADDRESS: _("One address asks for many codes that are not confirmed"),
    AlarmKind.GUESSING_BATCH: _("Many serials of one batch that are not confirmed"),
    AlarmKind.GUESSING_PRODUCT: _("Many serials of one product that are not confirmed"),
    AlarmKind.GUESSING_EVERYWHERE: _("Many codes that are not confirmed, from everywhere"),
}


@dataclass(frozen=True, slots=True)
class Shown:
    """An alarm as a row of the page."""

    text: str
    subject: str
    amount: int
    raised_at: int
    last_at: int
    goes_on: bool


@blueprint.get("/admin/alarms")
@requires(Permission.ALARM_READ)
def alarms() -> str:
    """Show the newest alarms, and from which figures on one is raised."""
    since = now_ms() - GOES_ON_MS
    rows = [
        Shown(str(WORDS[one.kind]), one.subject, one.amount, one.raised_at, one.last_at, one.last_at > since)
        for one in list_alarms(request_session())
    ]
    thresholds = [
        (str(WORDS[AlarmKind.GUESSING_ADDRESS]), limits.ALARM_OF_ADDRESS),
        (str(WORDS[AlarmKind.GUESSING_BATCH]), limits.ALARM_OF_BATCH),
        (str(WORDS[AlarmKind.GUESSING_PRODUCT]), limits.ALARM_OF_PRODUCT),
        (str(WORDS[AlarmKind.GUESSING_EVERYWHERE]), limits.ALARM_EVERYWHERE),
    ]
    return render_template("portal/alarms.html", alarms=rows, thresholds=thresholds)
