"""The witness over HTTP: a plain WSGI callable.

    POST <prefix>/add-checkpoint             cosign a checkpoint (C2SP tlog-witness)
    GET  <prefix>/<origin hash>/checkpoint   the latest checkpoint cosigned of a log, for monitors
    GET  <prefix>/                           who this is and what it has seen, for people

The prefix is that of the address under which the witness is known, such as "" or "/w1".
"""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from ledger.witness.cosigner import Answer, Cosigner
from ledger.witness.protocol import MAX_REQUEST_SIZE
from ledger.witness.state import utc_text

StartResponse = Callable[..., Any]

_ADD_CHECKPOINT = "/add-checkpoint"
_MONITOR = re.compile(r"/([0-9a-f]{64})/checkpoint")

logger = logging.getLogger(__name__)


class WitnessApplication:
    """Answers requests for one witness."""

    def __init__(self, cosigner: Cosigner, *, prefix: str = "") -> None:
        self._cosigner = cosigner
        self._prefix = prefix.rstrip("/")

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        method = environ["REQUEST_METHOD"]
        try:
            answer, allowed = self._answer(method, environ)
        except sqlite3.Error:
            # Nothing was cosigned, or nobody was told: the log asks again.
            logger.exception("the witness's state failed")
            answer, allowed = Answer.saying(503, "the witness cannot reach its state; try again"), ""
        headers = [
            ("Content-Type", answer.content_type),
            ("Content-Length", str(len(answer.body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        if answer.status == HTTPStatus.METHOD_NOT_ALLOWED:
            headers.append(("Allow", allowed))
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", headers)
        return [] if method == "HEAD" else [answer.body]

    def _answer(self, method: str, environ: dict[str, Any]) -> tuple[Answer, str]:
        """Give the answer, and the methods allowed at this address."""
        path: str = environ.get("PATH_INFO", "")
        if not path.startswith(f"{self._prefix}/"):
            return Answer.saying(404, "there is nothing here"), ""
        path = path.removeprefix(self._prefix)
        if path == _ADD_CHECKPOINT:
            return (self._add_checkpoint(environ) if method == "POST" else _not_allowed()), "POST"
        monitored = _MONITOR.fullmatch(path)
        if path != "/" and monitored is None:
            return Answer.saying(404, "there is nothing here"), ""
        if method not in {"GET", "HEAD"}:
            return _not_allowed(), "GET, HEAD"
        return (self._status() if monitored is None else self._monitor(monitored[1])), "GET, HEAD"

    def _add_checkpoint(self, environ: dict[str, Any]) -> Answer:
        length = environ.get("CONTENT_LENGTH") or ""
        if not length and not environ.get("wsgi.input_terminated"):
            return Answer.saying(411, "say how long the request is")
        if length and not re.fullmatch("[0-9]{1,12}", length):
            return Answer.saying(400, "the length of the request is no number")
        if length and int(length) > MAX_REQUEST_SIZE:
            return Answer.saying(413, f"a request has at most {MAX_REQUEST_SIZE} bytes")
        body: bytes = environ["wsgi.input"].read(int(length) if length else MAX_REQUEST_SIZE + 1)
        if len(body) > MAX_REQUEST_SIZE:
            return Answer.saying(413, f"a request has at most {MAX_REQUEST_SIZE} bytes")
        return self._cosigner.add_checkpoint(body)

    def _monitor(self, origin_hash: str) -> Answer:
        note = self._cosigner.state.note_of(origin_hash)
        if note is None:
            return Answer.saying(404, "no checkpoint of that log was cosigned")
        return Answer(200, note.encode())

    def _status(self) -> Answer:
        cosigner = self._cosigner
        known = cosigner.state.all_latest()
        lines = [f"{cosigner.signers[0].name}: a witness of transparency logs (c2sp.org/tlog-witness)", "", "Keys:"]
        lines += [signer.verifier.to_text() for signer in cosigner.signers]
        lines += ["", "Logs:"]
        for origin in cosigner.logs:
            latest = known.get(origin)
            seen = f"{latest.size} entries, cosigned {utc_text(latest.time)}" if latest else "nothing cosigned yet"
            lines.append(f"{origin}: {seen}")
        contradictions = len(cosigner.state.evidence())
        lines += ["", f"Checkpoints refused because they contradict what was cosigned: {contradictions}"]
        return Answer(200, "".join(f"{line}\n" for line in lines).encode())


def _not_allowed() -> Answer:
    return Answer.saying(405, "not in this way")
