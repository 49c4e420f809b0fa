"""`marchamo sign`: the firm signs the codes of a batch on its own machine, with a network or without.

Exit codes: 0 done; 1 refused, by the registry or because the batch is not what was named; 2 misused; 3 something could
not be read, written or reached.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from ledger.strict import encode_base64
from scanners.client import ConnectionFailed, Registry, Unreachable
from scanners.key_cli import (
    REFUSED,
    api_key_option,
    connect,
    fail,
    open_key,
    passphrase_option,
    server_option,
)
from scanners.key_files import CodeKeyPair
from scanners.signing import SIGNATURE_SIZE, Order, SigningRefused, Walk, signer_of
from scanners.signing_files import Signatures, read_order, read_signatures, write_order, write_signatures

PART = 4_096
"""Signatures handed in at once: a third of a second of the registry's time."""
UPLOADS = 2
ATTEMPTS = 6
_FIRST_PAUSE = 0.5

Page = tuple[int, list[str]]


@click.command()
@click.argument("handle", required=False)
@click.option("--key", "key_path", type=click.Path(path_type=Path, dir_okay=False), help="The key file.")
@passphrase_option
@server_option
@api_key_option
@click.option("--gtin", help="The product you expect; anything else is refused.")
@click.option("--lot", help="The lot you expect.")
@click.option("--units", type=click.IntRange(min=1), help="How many units you expect.")
@click.option("--processes", type=click.IntRange(1, 64), default=os.cpu_count() or 1, help="Processes that sign.")
@click.option("--export", type=click.Path(path_type=Path, dir_okay=False), help="Only write what is to be signed.")
@click.option("--from", "order_path", type=click.Path(path_type=Path, dir_okay=False), help="Sign such a file.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Where the signatures of --from go.")
@click.option("--upload", type=click.Path(path_type=Path, dir_okay=False), help="Hand such signatures in.")
def sign(
    *,
    handle: str | None,
    key_path: Path | None,
    passphrase_file: Path | None,
    server: str,
    api_key: str | None,
    gtin: str | None,
    lot: str | None,
    units: int | None,
    processes: int,
    export: Path | None,
    order_path: Path | None,
    out: Path | None,
    upload: Path | None,
) -> None:
    """Sign the codes of a batch with a key that your firm holds; begun and broken off, it goes on where it was.

    With a network: marchamo sign BATCH --key FILE. For a machine without: sign BATCH --export ORDER, carry it there,
    sign --from ORDER --key FILE --out SIGNATURES, carry it back, sign --upload SIGNATURES.
    """
    ways = [export is not None, order_path is not None, upload is not None]
    if sum(ways) > 1 or (handle is None and not any(ways[1:])) or (order_path is None) != (out is None):
        raise click.UsageError("Name a batch, with --key or --export; or give --from and --out; or --upload.")

    def check(order: Order, key: CodeKeyPair) -> None:
        order.check(key, gtin=gtin, lot=lot, units=units)

    try:
        if upload is not None:
            _upload(connect(server, api_key), read_signatures(upload))
        elif order_path is not None and out is not None:
            _sign_file(order_path, out, _key(key_path, passphrase_file), check, processes)
        elif export is not None and handle is not None:
            _export(connect(server, api_key), handle, export)
        elif handle is not None:
            _sign_online(connect(server, api_key), handle, _key(key_path, passphrase_file), check, processes)
    except SigningRefused as error:
        fail(error.message, error.fix, REFUSED)
    except Unreachable as error:
        fail(error.message, error.fix)
    except ConnectionFailed as error:
        fail(error.message, error.fix, REFUSED)
    except OSError as error:
        fail(f"{error.filename or 'A file'}: {error.strerror}.", None)


def _sign_online(
    registry: Registry,
    handle: str,
    key: CodeKeyPair,
    check: Callable[[Order, CodeKeyPair], None],
    processes: int,
) -> None:
    started = time.monotonic()
    first = _patiently(lambda: registry.signing_page(handle, 0))
    order = Order.from_members(first)
    check(order, key)
    _say(order)
    if first.get("log_index") is not None:
        click.echo(f"Signed and closed before, at ledger position {first['log_index']}.")
        return
    unsigned = first.get("first_unsigned")
    done = unsigned if type(unsigned) is int else order.quantity
    pages = _read_whole(registry, order, first)
    with _progress() as shown, signer_of(key, order, processes=processes) as signer, _Uploads(registry, order) as sent:
        task = shown.add_task(f"signing {handle}", total=order.quantity)
        start = 0
        for page in pages:
            serials = page.split("\n")
            if start + len(serials) > done:
                sent.put(start, signer.sign(serials), serials)
            start += len(serials)
            shown.update(task, completed=start)
    _close(registry, order.handle, order.seal(key))
    seconds = time.monotonic() - started
    click.echo(f"Signed {order.quantity - done:,} units in {seconds:.1f} s; {done:,} were signed before.")


def _sign_file(
    order_path: Path, out: Path, key: CodeKeyPair, check: Callable[[Order, CodeKeyPair], None], processes: int
) -> None:
    order, serials = read_order(order_path)
    check(order, key)
    _say(order)
    walk = Walk(order)
    parts = []
    with _progress() as shown, signer_of(key, order, processes=processes) as signer:
        task = shown.add_task(f"signing {order.handle}", total=order.quantity)
        for start in range(0, len(serials), 2 * PART):
            some = serials[start : start + 2 * PART]
            walk.take(some)
            parts.append(signer.sign(some))
            shown.update(task, completed=walk.position)
    walk.finish()
    write_signatures(out, Signatures(order.handle, order.key_id, order.quantity, order.seal(key), b"".join(parts)))
    click.echo(f"{out}: {order.quantity:,} signatures and the seal. Hand them in with: marchamo sign --upload {out}")


def _export(registry: Registry, handle: str, path: Path) -> None:
    first = _patiently(lambda: registry.signing_page(handle, 0))
    order = Order.from_members(first)
    walk, serials = Walk(order), []
    with _progress() as shown:
        task = shown.add_task(f"reading {handle}", total=order.quantity)
        for _, some in _pages(registry, order, first):
            walk.take(some)
            serials += some
            shown.update(task, completed=walk.position)
    walk.finish()
    write_order(path, order, serials)
    _say(order)
    click.echo(f"{path}: sign it with: marchamo sign --from {path} --key FILE --out SIGNATURES")


def _upload(registry: Registry, made: Signatures) -> None:
    first = _patiently(lambda: registry.signing_page(made.handle, 0))
    order = Order.from_members(first)
    if (order.key_id, order.quantity) != (made.key_id, made.quantity):
        raise SigningRefused(f"These signatures are not of batch {made.handle} as the registry knows it.")
    with _progress() as shown, _Uploads(registry, order) as sent:
        task = shown.add_task(f"uploading {made.handle}", total=made.quantity)
        step = PART * SIGNATURE_SIZE
        for at in range(0, len(made.data), step):
            sent.put(at // SIGNATURE_SIZE, made.data[at : at + step], ())
            shown.update(task, completed=min(at // SIGNATURE_SIZE + PART, made.quantity))
    _close(registry, made.handle, made.seal)


class _Uploads:
    """Hands parts in while others are signed; at most a few wait, so that memory stays small."""

    def __init__(self, registry: Registry, order: Order) -> None:
        self._registry = registry
        self._handle = order.handle
        self._threads = ThreadPoolExecutor(UPLOADS)
        self._waiting: list[Future[dict[str, Any]]] = []

    def __enter__(self) -> "_Uploads":
        return self

    def __exit__(self, kind: object, *_more: object) -> None:
        try:
            if kind is None:
                for future in self._waiting:
                    future.result()
        finally:
            self._threads.shutdown(cancel_futures=True)

    def put(self, start: int, signatures: bytes, serials: Sequence[str]) -> None:
        """Hand in signatures of consecutive units, in parts; raises what an earlier part was refused with."""
        step = PART * SIGNATURE_SIZE
        for at in range(0, len(signatures), step):
            while len(self._waiting) >= 2 * UPLOADS:
                self._waiting.pop(0).result()
            part, position = signatures[at : at + step], start + at // SIGNATURE_SIZE
            after = serials[position - start - 1] if 0 < position - start <= len(serials) else None
            self._waiting.append(self._threads.submit(self._put, position, part, after))

    def _put(self, position: int, part: bytes, after: str | None) -> dict[str, Any]:
        return _patiently(lambda: self._registry.put_signatures(self._handle, position, part, after))


def _read_whole(registry: Registry, order: Order, first: dict[str, Any]) -> list[str]:
    """The serials of an order in order of position, the lines of a page in one text; raises SigningRefused.

    They are seen to be the batch on the ledger before the first is signed: whoever speaks for the registry must not get
    signatures of serials of its own choice, which no later refusal takes back.
    """
    walk, pages = Walk(order), []
    with _progress() as shown:
        task = shown.add_task(f"reading {order.handle}", total=order.quantity)
        for _, serials in _pages(registry, order, first):
            walk.take(serials)
            pages.append(
                "\n".join(serials)
            )  # a serial has no such character; a text takes a quarter of a list's memory
            shown.update(task, completed=walk.position)
    walk.finish()
    return pages


def _pages(registry: Registry, order: Order, first: dict[str, Any]) -> Iterator[Page]:
    """The serials of an order in order of position, a page at a time."""
    page, start = first, 0
    while True:
        serials = page.get("serials")
        if not isinstance(serials, list) or not serials:
            raise SigningRefused(f"The registry gives no serials from position {start} on.")
        yield start, serials
        start += len(serials)
        if start >= order.quantity:
            return
        page = _patiently(partial(registry.signing_page, order.handle, start, serials[-1]))
        if Order.from_members(page) != order:
            raise SigningRefused("The registry describes the batch otherwise than at the start.")


def _patiently(ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The registry's answer; what did not reach it is asked again, since asking twice changes nothing."""
    pause = _FIRST_PAUSE
    for _ in range(ATTEMPTS - 1):
        try:
            return ask()
        except Unreachable:
            time.sleep(pause)
            pause *= 2
    return ask()


def _close(registry: Registry, handle: str, seal: bytes) -> None:
    closed = _patiently(lambda: registry.close_signing(handle, encode_base64(seal)))
    click.echo(f"Batch {handle} is closed at ledger position {closed.get('log_index')}; its labels can be printed.")


def _say(order: Order) -> None:
    goods = {"gtin": f"GTIN {order.reference}", "item": order.reference}.get(order.kind.value, "cases")
    said = ", ".join(f"({ai}) {value}" for ai, value in order.elements)
    click.echo(
        f"Batch {order.handle} of {order.issuer}: {order.quantity:,} units of {goods}{f', {said}' if said else ''}; "
        f"ledger position {order.batch_log_index}, key {order.key_id}."
    )


def _key(path: Path | None, passphrase_file: Path | None) -> CodeKeyPair:
    if path is None:
        raise click.UsageError("Give the key file with --key.")
    return open_key(path, passphrase_file)


def _progress() -> Progress:
    return Progress(console=Console(stderr=True), transient=True)
