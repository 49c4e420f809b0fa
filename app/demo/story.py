"""The whole story, step by step, on a fresh database: every step does the real thing and checks what came out.

The steps that a scanner would do go over the HTTP API (in this process); a step whose result is not what it must be
ends the story with exit code 1.
"""

import io
import json
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask.testing import FlaskClient
from PIL import Image
from rich.console import Console
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from app import create_app
from app.access import service as access
from app.core.authorisation import Role
from app.core.bootstrap import migrate
from app.core.clock import now_ms
from app.core.config import Settings
from app.core.services import Services
from app.demo import parties as making
from app.registry import service as registry
from app.registry.labels.check import verify_pdf
from app.registry.labels.layouts import layout_named
from app.registry.labels.sheets import Label, render_pdf
from app.transparency.service.product import product_checks
from ledger.audit import AuditReport, audit
from ledger.storage.engine import create_database_engine
from scanners.codes.reader import read_code
from scanners.codes.signature import sign_code
from scanners.images import open_pdf, read_symbols
from scanners.proofs import check_document
from scanners.trust import TrustList

UNITS = 1_000
NEVER_REGISTERED = "09521234000020"
LAYOUT = "a4-3x7"
DPI = 203
HERMOSILLO = {"latitude": 29.0729, "longitude": -110.9559, "accuracy": 30}
TIJUANA = {"latitude": 32.5149, "longitude": -117.0382, "accuracy": 30}


class StoryBroken(Exception):
    """A step did not come out as it must."""


@dataclass(slots=True)
class Step:
    """One step: what was done, in a sentence, and the facts behind it."""

    title: str
    sentence: str
    facts: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


def tell(*, as_json: bool, keep: Path | None) -> int:
    """Tell the story; returns the exit code."""
    console = Console(quiet=as_json, highlight=False, soft_wrap=True)
    steps: list[Step] = []
    started = time.perf_counter()
    try:
        with _folder(keep) as folder:
            for step in _Story(folder).steps():
                steps.append(step)
                console.print(f"[bold]{len(steps):>2}. {step.title}[/bold]  [dim]{step.seconds:.1f} s[/dim]")
                console.print(f"    {step.sentence}")
    except StoryBroken as broken:
        console.print(f"[bold red]The story broke:[/bold red] {broken}")
        if as_json:
            print(json.dumps({"ok": False, "broken": str(broken)}, ensure_ascii=False))
        return 1
    total = time.perf_counter() - started
    if as_json:
        told = [
            {"title": step.title, "sentence": step.sentence, "seconds": round(step.seconds, 2), "facts": step.facts}
            for step in steps
        ]
        print(json.dumps({"ok": True, "seconds": round(total, 1), "steps": told}, ensure_ascii=False, indent=1))
    where = f" The files are in {keep}." if keep else ""
    console.print(f"\nAll of it in {total:.0f} seconds, on a fresh database.{where}")
    return 0


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        if any(keep.iterdir()):
            raise StoryBroken(f"{keep} is not empty")
        yield keep
        return
    folder = Path(tempfile.mkdtemp(prefix="marchamo-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Story:
    """State that the steps hand on to each other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = Settings(data_dir=folder / "data", code_url="https://id.marchamo.example", rate_limits=False)
        migrate(self.settings)
        self.app = create_app(self.settings)
        self.client: FlaskClient = self.app.test_client()
        self.services: Services = self.app.extensions["marchamo"]
        self.keys: dict[str, str] = {}
        self.codes: list[str] = []
        self.scanned = ""
        self.pdf = folder / "labels.pdf"

    def steps(self) -> Iterator[Step]:
        """Every step, run when it is asked for."""
        for tell_step in (
            self._approve,
            self._commission,
            self._print,
            self._scan,
            self._verify,
            self._prove,
            self._sell,
            self._copy,
            self._forge,
            self._tamper,
        ):
            yield self._timed(tell_step)

    @staticmethod
    def _timed(tell_step: Callable[[], Step]) -> Step:
        start = time.perf_counter()
        step = tell_step()
        step.seconds = time.perf_counter() - start
        return step

    def _approve(self) -> Step:
        self.parties = making.make_parties(self.services, units=1)
        for role, party in (
            (Role.OWNER, self.parties.firm),
            (Role.RETAILER, self.parties.shop),
            (Role.CUSTOMS_CLIENT, self.parties.customs),
            (Role.INSPECTOR, self.parties.customs),
        ):
            owner = making.principal_of(self.services, party)
            _key, self.keys[role] = access.create_api_key(
                self.services, principal=owner, name="demo", role=role, scopes=None, days=1
            )
        size, _root = self.services.log.head()
        return Step(
            "A firm is approved",
            f"{self.parties.firm.name} may issue codes under GS1 prefix {making.PREFIX}; its key is registered. "
            f"The ledger has {size} entries.",
            {"issuer": self.parties.firm.issuer, "prefix": making.PREFIX, "ledger_size": size},
        )

    def _commission(self) -> Step:
        owner = making.principal_of(self.services, self.parties.firm)
        request = registry.CommissionRequest(product=self.parties.product, quantity=UNITS, lot="L2026-11")
        self.batch = making.commission(self.services, owner, request)
        with Session(self.services.engine) as session:
            found = registry.codes_of_batch(
                session, self.services.sealer, self.batch, stem=self.settings.code_stem, start=0, count=None
            )
            self.codes = [code.text for code in found]
        return Step(
            f"{UNITS:,} units are commissioned",
            f"Batch {self.batch.handle}: one entry of the ledger (number {self.batch.log_index}) commits to all of "
            f"them. The first code: {self.codes[0][:70]}…",
            {"batch": self.batch.handle, "units": len(self.codes), "log_index": self.batch.log_index},
        )

    def _print(self) -> Step:
        layout = layout_named(LAYOUT)
        labels = (
            Label(text, ("Café de altura, 500 g", f"GTIN {self.parties.product}", text.split("/21/")[1].split("?")[0]))
            for text in self.codes
        )
        with self.pdf.open("wb") as out:
            run = render_pdf(labels, layout, out=out, title=f"Batch {self.batch.handle}")
        report = verify_pdf(self.pdf, self.codes, layout=layout)
        _require(report.released and report.read == UNITS, f"only {report.read} labels of the PDF could be read back")
        return Step(
            "Labels are printed to a PDF and read back",
            f"{run.pages} A4 pages; all {report.read:,} symbols were decoded from the finished file, drawn at 203 "
            "and at 300 dpi.",
            {"pages": run.pages, "read": report.read, "layout": LAYOUT},
        )

    def _scan(self) -> Step:
        picture = self.folder / "page-1.png"
        with open_pdf(self.pdf) as pages, pages.drawn(1, DPI) as pixels:
            picture.write_bytes(_png(pixels))
        symbols = read_symbols(picture)
        texts = [symbol.text for symbol in symbols]
        printed = set(self.codes[: layout_named(LAYOUT).labels_per_page])
        missed, strange = sorted(printed - set(texts)), sorted(set(texts) - printed)
        _require(not missed and not strange, f"page 1 of the labels: not read {missed}, read but not printed {strange}")
        self.scanned = self.codes[0]
        return Step(
            "The first page is turned into a picture and scanned",
            f"{len(texts)} codes were read from a {DPI} dpi picture, as a phone would.",
            {"read": len(texts), "text": self.scanned},
        )

    def _verify(self) -> Step:
        answer = self._post("/v1/verify", Role.CUSTOMS_CLIENT, code=self.scanned, place=HERMOSILLO)
        _require(answer["authenticity"] == "REGISTERED", f"a registered unit was called {answer['authenticity']}")
        activated = self._post(f"/v1/batches/{self.batch.handle}/actions", Role.OWNER, action="activate")
        again = self._post("/v1/verify", Role.INSPECTOR, code=self.scanned, place=HERMOSILLO)
        _require(again["summary"] == "PASS", f"an activated unit was summed up as {again['summary']}")
        self.receipt = again["receipt"]
        self.proof_url = again["proof_url"]
        return Step(
            "Customs verifies the unit; the firm activates the batch",
            f"Before activation: {answer['summary']}. {answer['advice']} After it: {again['summary']}. "
            f"{again['advice']}",
            {"before": _axes(answer), "after": _axes(again), "event": activated.get("event_id")},
        )

    def _prove(self) -> Step:
        trust = TrustList.from_json(self.client.get("/v1/trust").data)
        headers = {"Authorization": f"Bearer {self.keys[Role.CUSTOMS_CLIENT]}"}
        bundle = self.client.get(self.proof_url, headers=headers).data
        unit = check_document(bundle, trust, now=now_ms())
        receipt = check_document(self.receipt.encode(), trust, now=now_ms())
        (self.folder / "trust.json").write_bytes(self.client.get("/v1/trust").data)
        (self.folder / "proof.json").write_bytes(bundle)
        (self.folder / "receipt.jws").write_text(self.receipt)
        return Step(
            "The answer is proved without the registry",
            f"The unit is leaf {unit.facts['position']} of its batch, the batch entry {unit.facts['log_index']} of a "
            f"signed log of {unit.facts['log_size']} entries; the receipt says {receipt.facts['summary']}.",
            {"unit": unit.facts, "receipt_summary": receipt.facts["summary"]},
        )

    def _sell(self) -> Step:
        # The till was offline when it sold: it reports the sale with its own time, three hours later.
        sold_at = datetime.now(UTC) - timedelta(hours=3)
        answer = self._post(
            "/v1/verify",
            Role.RETAILER,
            code=self.scanned,
            action="sell",
            device="till-1",
            device_time=sold_at.isoformat(timespec="milliseconds"),
            key="sale-1",
            place=HERMOSILLO,
        )
        _require(answer["action"]["recorded"], f"the sale was not recorded: {answer['action']}")
        return Step(
            "A shop in Hermosillo sold it three hours ago; its till reports it now",
            f"The sale is an event on the ledger (entry {answer['action']['log_index']}).",
            {"verdict": _axes(answer), "action": answer["action"]},
        )

    def _copy(self) -> Step:
        answer = self._post(
            "/v1/verify",
            Role.INSPECTOR,
            code=self.scanned,
            action="inspect",
            on_offer=True,
            device="p-7",
            place=TIJUANA,
        )
        _require(answer["summary"] != "PASS", "a copy of a sold unit passed")
        _require(answer["risk"] != "NONE", "a copy of a sold unit raised no risk")
        return Step(
            "A photocopy of the same code is on offer in Tijuana",
            f"{answer['summary']}: {answer['advice']} Reasons: {', '.join(answer['reasons'])}.",
            {"verdict": _axes(answer), "reasons": answer["reasons"]},
        )

    def _forge(self) -> Step:
        code = read_code(self.scanned, trusted_hosts=self.settings.code_hosts)
        if code.identity is None or code.signature is None:
            raise StoryBroken("the scanned code has no identity or no signature")
        forger = Ed25519PrivateKey.generate()
        stem = self.scanned.split("?")[0]
        forged = f"{stem}?S={sign_code(forger, code.identity, code.elements, code.signature.key_id)}"
        altered = self.scanned.replace("/10/L2026-11/", "/10/L2026-12/")
        unknown = f"{self.settings.code_stem}/01/{NEVER_REGISTERED}/21/ABCDEF0123456789"
        refused = {}
        for name, text in (("forged", forged), ("altered", altered), ("unknown", unknown)):
            answer = self._post("/v1/verify", Role.INSPECTOR, code=text)
            _require(answer["summary"] == "STOP", f"the {name} code was summed up as {answer['summary']}")
            refused[name] = {"authenticity": answer["authenticity"], "reasons": answer["reasons"]}
        told = "; ".join(f"{name}: {answer['authenticity']}" for name, answer in refused.items())
        return Step("A forged, an altered and an invented code are refused", f"{told}.", refused)

    def _tamper(self) -> Step:
        clean = self._audit(self.services.engine)
        _require(clean.ok, f"the audit of the untouched ledger found {clean.faults}")
        copy = self.folder / "tampered.db"
        with sqlite3.connect(self.settings.data_dir / "marchamo.db") as source, sqlite3.connect(copy) as target:
            source.backup(target)
        victim = self.batch.log_index
        with sqlite3.connect(copy) as connection:
            for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                connection.execute(f'DROP TRIGGER "{trigger}"')  # what somebody with the file in hand can do
            body = connection.execute('SELECT body FROM ledger_entries WHERE "index" = ?', (victim,)).fetchone()[0]
            at = len(body) // 2
            changed = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
            connection.execute('UPDATE ledger_entries SET body = ? WHERE "index" = ?', (changed, victim))
        connection.close()
        report = self._audit(create_database_engine(f"sqlite:///{copy}"))
        _require(not report.ok, "the audit did not notice a changed body")
        fault = report.faults[0]
        _require(str(victim) in fault.where, f"the audit named {fault.where}, not entry {victim}")
        return Step(
            "Somebody edits one bit in a copy of the database",
            f"The untouched ledger: {clean.size} entries, no fault. The copy: {fault.where}: {fault.message}.",
            {
                "clean_entries": clean.size,
                "fault": {"code": fault.code, "where": fault.where, "message": fault.message},
            },
        )

    def _audit(self, engine: Engine) -> AuditReport:
        checks = product_checks(self.settings, engine, self.services.sealer)
        return audit(engine, self.services.log.verifier, extra_checks=checks)

    def _post(self, path: str, role: Role, **body: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.keys[role]}"}
        answer = self.client.post(path, json=body, headers=headers)
        found: dict[str, Any] = answer.get_json()
        _require(answer.status_code < 300, f"{path} answered {answer.status_code}: {found}")
        return found


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise StoryBroken(otherwise)


def _axes(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: answer[name] for name in ("summary", "authenticity", "status", "risk", "labour")}


def _png(pixels: Any) -> bytes:
    height, width = pixels.shape
    out = io.BytesIO()
    Image.frombytes("L", (width, height), bytes(pixels)).save(out, format="PNG")
    return out.getvalue()
