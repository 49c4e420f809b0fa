"""`marchamo scan`, `marchamo trust` and `marchamo verify-proof`: what runs in the hand, without a database.

Exit codes: 0 every code passed (or, offline, was signed by a registered key; or the proof holds); 1 at least one did
not; 2 misused; 3 something could not be read, reached or judged, or there was no code at all; 4 the registry
contradicts what it showed of its ledger before; 5 every proof holds, but entries that it proves to be there are not
shown.
"""

import json
import os
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from ledger.errors import StatementError
from ledger.keys.log_keys import fingerprint
from ledger.keys.trust_root import TrustState
from scanners.client import ConnectionFailed, Registry, Unreachable
from scanners.codes.cleaning import clean
from scanners.codes.errors import CodeError
from scanners.device import DeviceRefusal, open_device
from scanners.images import FoundSymbol, ImageError, read_folder, read_symbols
from scanners.log_memory import Contradiction, LogMemory, MemoryRefusal
from scanners.offline import OfflineAuthenticity, judge
from scanners.proofs import MAX_BYTES, NotJudged, ProofRefused, check_document
from scanners.scan_queue import ScanQueue
from scanners.sending import SigningDevice
from scanners.telling import lines_of, moment, not_shown
from scanners.trust import STATE_SENTENCES, TrustError, TrustList
from scanners.whole_files import replace_file

DEFAULT_SERVER = "http://127.0.0.1:8000"
COLOURS = {"PASS": "green", "CHECK": "yellow", "STOP": "bold red"}
PIPED_WIDTH = 400
MAX_STANDARD_INPUT = 16 * 1024 * 1024
STANDARD_INPUT = Path("-")
NOT_JUDGED = 3
CONTRADICTED = 4
NOT_ALL_SHOWN = 5
EXPIRED = f"trust_list_{TrustState.EXPIRED}"
AS_OF_LIST = " To judge as of the day the list was made: --as-of-list."
UNREAD = "UNREAD"
"""In place of the authenticity: a file that could not be read, or shows no code."""


@dataclass(frozen=True, slots=True)
class Row:
    """One symbol (or one file without any) and what was found out about it."""

    file: str
    page: int | None
    text: str | None
    summary: str
    authenticity: str
    reasons: tuple[str, ...]
    sentence: str


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--server", default=DEFAULT_SERVER, show_default=True, envvar="MARCHAMO_SERVER", help="The registry.")
@click.option("--api-key", envvar="MARCHAMO_API_KEY", help="Answers as for a professional; better in MARCHAMO_API_KEY.")
@click.option("--trust", type=click.Path(path_type=Path, dir_okay=False), help="Judge offline by this trust list.")
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="MARCHAMO_STATE",
    default=Path(click.get_app_dir("marchamo")),
    help="Folder in which this device remembers the registry's ledger.",
)
@click.option(
    "--device",
    "as_device",
    is_flag=True,
    help="Sign every scan as the enrolled device that this machine is; with --trust they are sent later.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def scan(
    files: tuple[Path, ...],
    server: str,
    api_key: str | None,
    trust: Path | None,
    state: Path,
    *,
    as_device: bool,
    as_json: bool,
) -> None:
    """Read label images, PDFs and folders of them ("-": one code a line on standard input), and verify every code.

    The ledger's last checkpoint is kept, and each answer must prove that the ledger only grew since.
    """
    try:
        if as_device:
            judge_all = _signed(state, server, None if trust is None else TrustList.from_file(trust))
        elif trust:
            judge_all = _offline(TrustList.from_file(trust))
        else:
            judge_all = _online(Registry(server, api_key, LogMemory(state, server)))
        found = list(_read_all(files, quiet=as_json))
        rows = _judge_all(found, judge_all)
    except Contradiction as error:
        _fail(error.message, error.fix, CONTRADICTED)
    except Unreachable as error:
        kept = " The signed scans wait here: marchamo device send." if as_device else ""
        _fail(error.message, f"Check the address, or check offline with --trust FILE.{kept}")
    except (ConnectionFailed, DeviceRefusal, MemoryRefusal, StatementError, TrustError) as error:
        _fail(error.message, error.fix)
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows], indent=1))
    elif rows:
        _print(rows)
    if not rows:
        _fail("There was no code to verify.", "Name images, PDFs, folders of them, or - for standard input.")
    if any(row.authenticity == UNREAD for row in rows):
        sys.exit(3)
    sys.exit(0 if all(row.summary == "PASS" or (trust and _is_accepted(row)) for row in rows) else 1)


@click.command()
@click.argument("server", default=DEFAULT_SERVER, envvar="MARCHAMO_SERVER")
@click.option(
    "--previous",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The list you hold: only one that it vouches for is taken.",
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write here, once all is checked.")
def trust(server: str, previous: Path | None, output: Path | None) -> None:
    """Fetch the registry's trust list, for `scan --trust` and `verify-proof --trust`."""
    try:
        held = None if previous is None else TrustList.from_file(previous)
        text = Registry(server).trust_list()
        fetched = TrustList.from_json(text) if held is None else held.renewed_by(text)
        if (state := fetched.state(_now())) is not TrustState.VALID:
            _fail(_why_not_taken(fetched, state), None)
        if output is not None:
            replace_file(output, text + b"\n")
    except (ConnectionFailed, TrustError) as error:
        _fail(error.message, error.fix)
    except OSError as error:
        _fail(f"{output} cannot be written: {error.strerror}.", None)
    if held is None:
        click.echo("First use: nothing vouches for this list yet. Compare with what the registry tells you:", err=True)
    else:
        click.echo(f"The list you hold, of {moment(held.root.as_of)}, vouches for this one:", err=True)
    for key in fetched.log_keys.current:
        click.echo(f"{_visible(key.verifier.to_text())}\n  fingerprint {fingerprint(key.verifier)}", err=True)
    if output is None:
        click.echo(text.decode())


@click.command("verify-proof")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option("--trust", "trust_path", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--as-of-list",
    is_flag=True,
    help="Judge as of the day the list was made, also when it has expired: what was revoked since is not known.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON instead of lines.")
def verify_proof(files: tuple[Path, ...], trust_path: Path, *, as_of_list: bool, as_json: bool) -> None:
    """Check receipts, proof bundles and state bundles against a trust list; no database, no connection.

    Exit codes: 0 all hold; 1 at least one does not; 2 misused; 3 something was not judged or could not be read; 5 all
    hold, but entries whose presence is proved are not shown, because they were erased or are withheld.
    """
    try:
        trusted = TrustList.from_file(trust_path)
    except TrustError as error:
        _fail(error.message, error.fix)
    now = trusted.root.as_of if as_of_list else _now()
    if as_of_list and (state := trusted.state(_now())) is not TrustState.VALID:
        click.echo(f"Judged as of {moment(now)}, when the list was made. {STATE_SENTENCES[state]}", err=True)
    results: list[dict[str, Any]] = []
    for path in files:
        try:
            proved = check_document(_content(path), trusted, now=now)
            results.append({"file": str(path), "holds": True, "kind": proved.kind, **proved.facts})
        except NotJudged as reason:
            message = f"{reason.message}{AS_OF_LIST if reason.code == EXPIRED else ''}"
            results.append({"file": str(path), "holds": None, "code": reason.code, "message": message})
        except ProofRefused as refusal:
            results.append({"file": str(path), "holds": False, "code": refusal.code, "message": refusal.message})
        except OSError as error:
            _fail(f"{path} cannot be read: {error.strerror}.", None)
    if as_json:
        click.echo(json.dumps(results, ensure_ascii=False, indent=1))
    else:
        for result in results:
            _print_proof(result)
    sys.exit(_proof_exit_code(results))


def _why_not_taken(fetched: TrustList, state: TrustState) -> str:
    """Say why a list that was just fetched is not taken: a registry renews its own, so the clock is suspected first."""
    if state is not TrustState.EXPIRED:
        return STATE_SENTENCES[state]
    return (
        f"The list that the registry gave is already expired, since {moment(fetched.root.expires_at)}, and this "
        f"device's clock shows {moment(_now())}: is your clock right? If it is, the registry has to act."
    )


def _proof_exit_code(results: Sequence[dict[str, Any]]) -> int:
    """Give the worst that is to be told: what does not hold before what was not judged, that before what is hidden."""
    if any(result["holds"] is False for result in results):
        return 1
    if any(result["holds"] is None for result in results):
        return NOT_JUDGED
    return NOT_ALL_SHOWN if any(result["kind"] == "state" and not_shown(result) for result in results) else 0


Judge = Callable[[Sequence[str]], Iterator[tuple[str, str, tuple[str, ...], str]]]
"""From texts to (summary, authenticity, reasons, sentence), in order."""


def _signed(state: Path, server: str, trusted: TrustList | None) -> Judge:
    device = open_device(state, server)
    queue = ScanQueue(device.queue_path)
    if trusted is None:
        return _online(SigningDevice(device, queue, LogMemory(state, server)))

    def judge_all(texts: Sequence[str]) -> Iterator[tuple[str, str, tuple[str, ...], str]]:
        judged = list(_offline(trusted)(texts))
        saw = dict(zip(texts, (authenticity for _, authenticity, _, _ in judged), strict=True))
        SigningDevice(device, queue).sign([text for text in texts if _fault(text) is None], offline=True, saw=saw.get)
        yield from judged

    return judge_all


class Verifier(Protocol):
    """Asks the registry about codes: as the public, with an API key, or as a device."""

    def verify(self, codes: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Give one item a code, in order, as `Registry.verify` does."""


def _online(registry: Verifier) -> Judge:
    def judge_all(texts: Sequence[str]) -> Iterator[tuple[str, str, tuple[str, ...], str]]:
        # What is no code by its length alone stays here: the registry would refuse all that is asked with it.
        faults = [_fault(text) for text in texts]
        items = registry.verify([text for text, fault in zip(texts, faults, strict=True) if fault is None])
        for fault in faults:
            item = next(items) if fault is None else {"error": {"code": fault.code, "message": fault.message}}
            verdict = item.get("verdict")
            if verdict is None:
                error = item["error"]
                yield "STOP", "UNREADABLE", (error["code"],), error["message"]
            else:
                yield verdict["summary"], verdict["authenticity"], tuple(verdict["reasons"]), verdict["advice"]

    return judge_all


def _fault(text: str) -> CodeError | None:
    try:
        clean(text)
    except CodeError as error:
        return error
    return None


def _offline(trusted: TrustList) -> Judge:
    def judge_all(texts: Sequence[str]) -> Iterator[tuple[str, str, tuple[str, ...], str]]:
        for text in texts:
            verdict = judge(text, trusted, now=_now())
            yield verdict.summary, verdict.authenticity.value, (verdict.reason,), verdict.sentence

    return judge_all


def _read_all(files: Sequence[Path], *, quiet: bool) -> Iterator[tuple[str, FoundSymbol | str | ImageError]]:
    """Every symbol of every file with the file's name; an ImageError stands for a file that could not be read."""
    # A bar only where somebody waits and watches: many files, on a terminal.
    with Progress(console=Console(stderr=True), transient=True, disable=quiet or not sys.stderr.isatty()) as bar:
        task = bar.add_task("reading", total=None)
        for path, symbols in _each_file(files):
            bar.advance(task)
            if isinstance(symbols, ImageError):
                yield str(path), symbols
            elif path == STANDARD_INPUT:
                yield from ((str(path), symbol) for symbol in symbols)
            elif not symbols:
                yield str(path), ImageError("no_symbol", "No code was found in this file.")
            else:
                for symbol in symbols:
                    yield str(path), symbol


def _each_file(files: Sequence[Path]) -> Iterator[tuple[Path, Sequence[FoundSymbol | str] | ImageError]]:
    for given in files:
        try:
            if given == STANDARD_INPUT:
                yield given, _lines_of_standard_input()
            elif given.is_dir():
                yield from read_folder(given)
            else:
                yield given, read_symbols(given)
        except ImageError as error:
            yield given, error


def _is_accepted(row: Row) -> bool:
    """Whether a reader without a connection has nothing against a code: signed, and its issuer in good standing."""
    signed = row.authenticity == OfflineAuthenticity.SIGNATURE_VALID_NOT_CONFIRMED
    return signed and "issuer_suspended" not in row.reasons


def _lines_of_standard_input() -> list[str]:
    content = sys.stdin.buffer.read(MAX_STANDARD_INPUT + 1)
    if len(content) > MAX_STANDARD_INPUT:
        raise ImageError("too_much_input", f"Standard input may have {MAX_STANDARD_INPUT // 1024 // 1024} MiB.")
    # Not splitlines(): it would also cut at the separators (GS, RS) that stand within codes.
    lines = (line.strip("\r ") for line in content.decode("utf-8", errors="replace").split("\n"))
    return [line for line in lines if line]


def _judge_all(found: Sequence[tuple[str, FoundSymbol | str | ImageError]], judge_all: Judge) -> list[Row]:
    texts = [_text(item) for _, item in found if not isinstance(item, ImageError)]
    judged = iter(judge_all(texts))
    rows = []
    for file, item in found:
        if isinstance(item, ImageError):
            rows.append(Row(file, None, None, "STOP", UNREAD, (item.code,), str(item)))
            continue
        summary, authenticity, reasons, sentence = next(judged)
        page = None if isinstance(item, str) else item.page
        rows.append(Row(file, page, _text(item), summary, authenticity, reasons, sentence))
    return rows


def _text(item: FoundSymbol | str | ImageError) -> str:
    return item.scanner_text if isinstance(item, FoundSymbol) else str(item)


def _print(rows: Sequence[Row]) -> None:
    table = Table("file", "page", "verdict", "authenticity", "what it means", "code")
    for row in rows:
        text = row.text or ""
        short = text[:60] + ("…" if len(text) > 60 else "")
        file = row.file if row.file == str(STANDARD_INPUT) else os.path.relpath(row.file)
        page = "" if row.page is None else str(row.page)
        verdict = Text(_visible(row.summary), style=COLOURS.get(row.summary, ""))
        table.add_row(*map(_cell, (file, page)), verdict, *map(_cell, (row.authenticity, row.sentence, short)))
    # Whole when it goes to a file or another program: only a terminal has an edge to fit.
    console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
    console.print(table)
    counts = {word: sum(row.summary == word for row in rows) for word in COLOURS}
    console.print(", ".join(f"{count} {word}" for word, count in counts.items()))


def _cell(text: str) -> Text:
    """The text as it is: neither rich's own mark-up nor the terminal's may come out of a code or a file's name."""
    return Text(_visible(text))


def _visible(text: str) -> str:
    return "".join("·" if unicodedata.category(char)[0] == "C" else char for char in text)


def _print_proof(result: dict[str, Any]) -> None:
    file = _visible(result["file"])
    if not result["holds"]:
        found = "not judged" if result["holds"] is None else "does not hold"
        click.echo(f"{file}: {found}: {_visible(result['message'])} [{result['code']}]")
        return
    facts = {name: value for name, value in result.items() if name not in ("file", "holds", "kind")}
    hidden = not_shown(facts) if result["kind"] == "state" else None
    click.echo(f"{file}: holds ({result['kind']}){f', but {hidden}' if hidden else ''}")
    for line in lines_of(result["kind"], facts):
        click.echo(f"  {_visible(line)}")


def _content(path: Path) -> bytes:
    """At most one byte more than is accepted, so that more is noticed."""
    if path == STANDARD_INPUT:
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _now() -> int:
    return time.time_ns() // 1_000_000


def _fail(message: str, fix: str | None, code: int = 3) -> NoReturn:
    click.echo(f"marchamo: {_visible(message)}{f' {_visible(fix)}' if fix else ''}", err=True)
    sys.exit(code)
