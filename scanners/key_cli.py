"""`marchamo key`: a code key that the firm holds itself; made, shown and registered on the firm's own machine.

Exit codes: 0 done; 1 refused; 2 misused; 3 something could not be read, written or reached.
"""

import hashlib
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import click

from ledger.errors import LedgerError
from ledger.strict import decode_base64, encode_base64
from scanners.client import ConnectionFailed, Registry, Unreachable
from scanners.key_files import (
    LEAST_PASSPHRASE,
    CodeKeyPair,
    KeyFileError,
    PassphraseNeeded,
    new_key,
    read_key,
    write_key,
)
from scanners.signing import SigningRefused, possession_of

DEFAULT_SERVER = "http://127.0.0.1:8000"
REFUSED = 1
NOT_REACHED = 3

key_option = click.option(
    "--key", "key_path", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The key file."
)
passphrase_option = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File whose first line is the passphrase; asked for when there is none.",
)
server_option = click.option(
    "--server", default=DEFAULT_SERVER, show_default=True, envvar="MARCHAMO_SERVER", help="The registry."
)
api_key_option = click.option(
    "--api-key", envvar="MARCHAMO_API_KEY", help="Of your firm; better in MARCHAMO_API_KEY than on the command line."
)


@click.group()
def key() -> None:
    """Make, show and register a code key that your firm holds itself."""


@key.command()
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The new key file.")
@passphrase_option
def new(out: Path, passphrase_file: Path | None) -> None:
    """Make a key and write it, encrypted, to a new file; an existing file is never overwritten."""
    made = new_key()
    try:
        write_key(out, made, new_passphrase(passphrase_file))
    except KeyFileError as error:
        fail(error.message, error.fix)
    click.echo(f"{out}: a new key. {name_of(made)}")
    click.echo("Keep a copy in another place, and the passphrase in a third: nobody can make this key again.")


@key.command()
@key_option
@passphrase_option
def show(key_path: Path, passphrase_file: Path | None) -> None:
    """Show the public half of a key and its fingerprint."""
    found = open_key(key_path, passphrase_file)
    click.echo(f"public key  {encode_base64(found.public_key)}\nfingerprint {fingerprint_of(found)}")


@key.command()
@key_option
@passphrase_option
@server_option
@api_key_option
@click.option("--valid-until", type=click.DateTime(["%Y-%m-%d"]), help="Last day (UTC); two years from now otherwise.")
def register(
    key_path: Path,
    passphrase_file: Path | None,
    server: str,
    api_key: str | None,
    valid_until: datetime | None,
) -> None:
    """Register a key at the registry: from then on it signs the codes of every new batch of your firm.

    The registry learns the public half only. The API key needs the permission key.manage.
    """
    found = open_key(key_path, passphrase_file)
    registry = connect(server, api_key)
    public = encode_base64(found.public_key)

    def both_steps() -> dict[str, Any]:
        waiting = registry.begin_key_registration(public)
        key_id, issuer, message = (waiting.get(name) for name in ("key_id", "issuer", "possession_message"))
        if type(key_id) is not int or not isinstance(issuer, str) or not isinstance(message, str):
            raise SigningRefused("The registry does not say which key it registers.")
        possession = possession_of(found, key_id=key_id, issuer=issuer, message=decode_base64(message))
        until = None if valid_until is None else f"{valid_until.date().isoformat()}T23:59:59+00:00"
        members = {"key_id": key_id, "public_key": public, "possession": encode_base64(possession)}
        return registry.register_key(members | {"valid_until": until}) | {"issuer": issuer}

    done = asked(both_steps)
    click.echo(f"Key {done['key_id']} of {done['issuer']} is registered at ledger position {done['registered_index']},")
    click.echo(f"valid until {done['valid_until']}. Sign the codes of new batches with: marchamo sign BATCH --key FILE")


def open_key(path: Path, passphrase_file: Path | None) -> CodeKeyPair:
    """The key in a file; asks for the passphrase when it needs one. Ends the program when it can not be opened."""
    given = None if passphrase_file is None else passphrase_in(passphrase_file)
    try:
        try:
            return read_key(path, given)
        except PassphraseNeeded:
            if not sys.stdin.isatty():
                raise
            return read_key(path, click.prompt("Passphrase", hide_input=True, err=True))
    except KeyFileError as error:
        fail(error.message, error.fix)


def new_passphrase(passphrase_file: Path | None) -> str:
    """A passphrase from a file or asked for twice."""
    if passphrase_file is not None:
        return passphrase_in(passphrase_file)
    asked_for: str = click.prompt(
        f"Passphrase (at least {LEAST_PASSPHRASE} characters)", hide_input=True, confirmation_prompt=True, err=True
    )
    return asked_for


def passphrase_in(path: Path) -> str:
    """The first line of a file; ends the program when it can not be read."""
    try:
        with path.open(encoding="utf-8") as file:
            line = file.readline(1025).removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"The passphrase in {path} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}.", None)
    if not line or len(line) > 1024:
        fail(f"The first line of {path} is no passphrase.", None)
    return line


def connect(server: str, api_key: str | None) -> Registry:
    """The registry; ends the program when its address is none, or when there is no API key."""
    if not api_key:
        fail("An API key of your firm is needed.", "Give it in MARCHAMO_API_KEY.", 2)
    try:
        return Registry(server, api_key)
    except ConnectionFailed as error:
        fail(error.message, error.fix)


def asked(step: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What the registry answers; a refusal ends the program with 1, and 3 when nothing answers."""
    try:
        return step()
    except Unreachable as error:
        fail(error.message, error.fix)
    except SigningRefused as error:
        fail(error.message, error.fix, REFUSED)
    except ConnectionFailed as error:
        fail(error.message, error.fix, REFUSED)
    except LedgerError as error:
        fail(f"The registry's answer cannot be used: {error.message}.", None)


def name_of(found: CodeKeyPair) -> str:
    """How a person compares two keys."""
    return f"Public key {encode_base64(found.public_key)}, fingerprint {fingerprint_of(found)}."


def fingerprint_of(found: CodeKeyPair) -> str:
    """SHA-256 of the public key, the first 16 bytes in groups of four digits."""
    digits = hashlib.sha256(found.public_key).hexdigest()[:32]
    return " ".join(digits[at : at + 4] for at in range(0, 32, 4))


def fail(message: str, fix: str | None, code: int = NOT_REACHED) -> NoReturn:
    """One line on standard error, and the exit code."""
    click.echo(f"marchamo: {message}{f' {fix}' if fix else ''}", err=True)
    sys.exit(code)
