"""What each witness answered last, with its reason: the worker, who asks, leaves it in a file for those who show it.

Only cosignatures stand in the database. That a witness refuses, is gone or contradicts the ledger is known to the
process that asks it; the file tells the others. It is no record: it begins empty with each start of the worker.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import structlog

from ledger.witnessing.client import Report, Result

FILE_NAME = "witnesses.json"
MAX_FILE = 1_000_000
MAX_DETAIL = 500

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WitnessResult:
    """The last answer of a witness. since: when it began to answer so, ms. detail: a sentence, "" when it is well."""

    result: Result
    since: int
    detail: str = ""


class WitnessResults:
    """Keeps the results of one worker and writes the file in `folder` when one of them changes."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._known: dict[str, WitnessResult] = {}
        self._write()

    def note(self, report: Report, *, now: int) -> bool:
        """Keep a result; says whether the witness answered otherwise before. now: ms."""
        last = self._known.get(report.witness)
        is_news = last is None or last.result is not report.result
        found = WitnessResult(report.result, now if last is None or is_news else last.since, report.detail[:MAX_DETAIL])
        if found != last:
            self._known[report.witness] = found
            self._write()
        return is_news

    def _write(self) -> None:
        members = {
            name: {"result": one.result.value, "since": one.since, "detail": one.detail}
            for name, one in self._known.items()
        }
        part = self._path.with_suffix(".part")
        try:
            part.write_text(json.dumps(members), encoding="utf-8")
            part.replace(self._path)
        except OSError as error:
            logger.warning("results of witnesses cannot be shown to others", reason=str(error))


def read_results(folder: Path) -> dict[str, WitnessResult]:
    """Give what the worker noted, by the witness's key name; nothing when there is no file that can be read."""
    try:
        with (folder / FILE_NAME).open("rb") as file:
            members = json.loads(file.read(MAX_FILE))
        return {str(name): _read(one) for name, one in members.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _read(members: dict[str, object]) -> WitnessResult:
    result, since, detail = members["result"], members["since"], members["detail"]
    if not isinstance(result, str) or not isinstance(since, int) or not isinstance(detail, str):
        raise TypeError("this is no result of a witness")
    return WitnessResult(Result(result), since, detail)
