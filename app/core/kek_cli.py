"""`marchamo kek`: where the key-encryption key lives, moving it into a PKCS#11 module and out, and changing it."""

import os
import secrets
import socket
from pathlib import Path

import click
from sqlalchemy import Connection

from app.core.bootstrap import check_schema
from app.core.config import Settings
from app.core.database import create_database_engine
from app.core.resealing import open_sealer, reseal, sealer_of
from app.core.sealing import (
    KEY_SIZE,
    Sealer,
    SealError,
    key_file,
    load_key_encryption_key,
    read_plain_key,
    write_new_file,
)
from app.core.service_keys import KeyPurpose, load_service_keys
from ledger.storage.engine import begin_write

NEXT = ".next"
"""Added to the key file's name for the new key while everything is being sealed under it."""


@click.group()
def kek() -> None:
    """Where the key-encryption key lives; move it into a PKCS#11 module and out; change it."""


@kek.command()
def show() -> None:
    """Say where the key comes from, its fingerprint, and whether it opens this database."""
    settings = Settings.from_environment()
    key = load_key_encryption_key(settings)
    click.echo(f"source:      {_source(settings)}")
    click.echo(f"fingerprint: {Sealer(key).fingerprint}")
    engine = create_database_engine(settings.effective_database_url)
    try:
        check_schema(engine)
        with engine.connect() as connection:
            _require_opens(connection, key)
    finally:
        engine.dispose()
    click.echo("It opens the keys of this database.")


@kek.command()
@click.option("--uri", required=True, help="PKCS#11 URI (RFC 7512) of the AES key that wraps.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The new file; one that exists is kept.")
@click.option("--make-key", is_flag=True, help="Make that AES key in the module first.")
def wrap(uri: str, out: Path, *, make_key: bool) -> None:
    """Write the key in use into a file that only the module can open."""
    from app.core.key_modules import make_module_key, unwrap_key, wrap_key  # noqa: PLC0415  few services have a module

    _refuse_existing(out)
    key = load_key_encryption_key(Settings.from_environment())
    if make_key:
        make_module_key(uri)
    content = wrap_key(uri, key)
    if unwrap_key(uri, content) != key:
        raise SealError("the module did not give back what it wrapped")
    write_new_file(out, content)
    click.echo(f"{out} holds the key, wrapped. Set MARCHAMO_KEK_FILE={out} and MARCHAMO_KEK_URI to that URI, see")
    click.echo("that `marchamo kek show` gives the same fingerprint, then destroy the key in clear.")


@kek.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The new file; one that exists is kept.")
def unwrap(out: Path) -> None:
    """Write the key in use into a file in clear: for moving it to another module, or away from one."""
    _refuse_existing(out)
    write_new_file(out, load_key_encryption_key(Settings.from_environment()))
    click.echo(f"{out} holds the key in clear: whoever reads it and the database can sign as this registry.")


@kek.command()
@click.option("--service-is-stopped", is_flag=True, required=True, help="Say that nothing else uses this database.")
def rewrap(*, service_is_stopped: bool) -> None:  # noqa: ARG001  the flag is there to be said
    """Make a new key and seal everything under it, in one transaction. A cut-off run is finished by the next."""
    settings = Settings.from_environment()
    if settings.key_encryption_key:
        raise SealError(
            "the key comes from MARCHAMO_KEY_ENCRYPTION_KEY: put it into a file first (`marchamo kek unwrap`)"
        )
    _refuse_while_serving(settings)
    path = key_file(settings)
    fresh = path.with_name(path.name + NEXT)
    old_key = load_key_encryption_key(settings)
    if not fresh.exists():
        key = secrets.token_bytes(KEY_SIZE)
        write_new_file(fresh, _for_file(settings, key))
    new_key = _from_file(settings, fresh)
    engine = create_database_engine(settings.effective_database_url)
    try:
        check_schema(engine)
        with begin_write(engine) as connection:
            if _opens(connection, new_key):
                done = 0  # cut off between the transaction and the renaming
            else:
                _require_opens(connection, old_key)
                done = reseal(connection, sealer_of(connection, old_key), new_key, lambda _done: None)
        # A crash here leaves both files: the old key opens nothing any more, and the next run takes the new one.
        os.replace(fresh, path)  # noqa: PTH105  the atomic one, by its name
        sealer = open_sealer(engine, settings)
    finally:
        engine.dispose()
    click.echo(f"{done} values are sealed under a new key, fingerprint {sealer.fingerprint}.")
    click.echo("Backups from before need the old key: keep it apart for as long as they are kept.")


def _refuse_existing(out: Path) -> None:
    """Say it before anything is made; `write_new_file` keeps what came in between."""
    if out.exists():
        raise SealError(f"{out} exists and is kept: choose another name")


def _for_file(settings: Settings, key: bytes) -> bytes:
    if not settings.kek_uri:
        return key
    from app.core.key_modules import wrap_key  # noqa: PLC0415  few services have a module

    return wrap_key(settings.kek_uri, key)


def _from_file(settings: Settings, path: Path) -> bytes:
    if not settings.kek_uri:
        return read_plain_key(path)
    from app.core.key_modules import unwrap_key  # noqa: PLC0415  few services have a module

    return unwrap_key(settings.kek_uri, path.read_bytes())


def _opens(connection: Connection, key: bytes) -> bool:
    try:
        _require_opens(connection, key)
    except SealError:
        return False
    return True


def _require_opens(connection: Connection, key: bytes) -> None:
    from sqlalchemy.orm import Session  # noqa: PLC0415

    sealer = sealer_of(connection, key)
    with Session(bind=connection, join_transaction_mode="create_savepoint") as session:
        load_service_keys(session, sealer)[KeyPurpose.STATEMENT]


def _source(settings: Settings) -> str:
    if settings.key_encryption_key:
        return "MARCHAMO_KEY_ENCRYPTION_KEY"
    return f"{key_file(settings)}{', opened by the PKCS#11 module of MARCHAMO_KEK_URI' if settings.kek_uri else ''}"


def _refuse_while_serving(settings: Settings) -> None:
    """A process that runs would go on sealing under the old key, for nobody to open."""
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.settimeout(0.5)
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104  compared, not bound
        if probe.connect_ex((host, settings.port)) == 0:
            raise SealError(f"something answers at {host}:{settings.port}: stop the service first")
