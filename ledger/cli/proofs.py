"""The command that checks proofs: it needs nothing but a proof, the leaf and the log's public key."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ledger.cli.context import FAULT_FOUND, cannot_read, failures
from ledger.errors import FormatError, LedgerError, ProofError
from ledger.leaf import Leaf
from ledger.note import NoteVerifier
from ledger.proof import UnitProof, parse_proof, verify_leaf_proof, verify_unit_proof

MAX_PROOF_FILE = 4_000_000
_PLUSES_OF_A_KEY = 2
MAX_FILE_NAME = 255


@click.command("verify-proof")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--key", required=True, help="The log's verifier key, or a file that holds it.")
@click.option("--leaf", help="For a leaf's proof: the leaf in hexadecimal, as `prove --leaf` prints it, or its file.")
@click.option("--content", help="For a unit's proof: the signed bytes of its code, in hexadecimal.")
def verify_proof(files: tuple[Path, ...], key: str, leaf: str | None, content: str | None) -> None:
    """Check proofs offline: a leaf's (tlog-proof) with --leaf, a unit's (JSON) with --content.

    The issuer's own signature inside a unit's proof is not checked here, only that the log holds its statement.
    """
    with failures():
        if not Path(key).is_file() and key.count("+") < _PLUSES_OF_A_KEY:
            cannot_read(
                f"--key {key}: there is no such file, and a verifier key looks like example.org/log+1a2b3c4d+..."
            )
        verifier = NoteVerifier.from_text((_read(Path(key)) if Path(key).is_file() else key).strip())
        leaf_hash = None if leaf is None else _leaf_hash(leaf)
    failed = False
    for path in files:
        try:
            finding = _verify(_read(path), verifier, leaf_hash, content)
        except LedgerError as error:
            failed = True
            finding = f"REFUSED ({error.code}): {error.message}"
        except (OSError, UnicodeDecodeError) as error:
            cannot_read(str(error))
        click.echo(f"{path}: {finding}")
    if failed:
        sys.exit(FAULT_FOUND)


def _verify(text: str, verifier: NoteVerifier, leaf_hash: bytes | None, content: str | None) -> str:
    if text.lstrip().startswith("{"):
        if content is None:
            raise click.UsageError("a unit's proof needs --content")
        # No issuer key is at hand: whoever has one uses the library.
        unit = verify_unit_proof(
            UnitProof.from_json(text), content=_bytes(content), log_verifier=verifier, statement_key=None
        )
        return (
            f"unit {unit.position} of the batch in entry {unit.index} is in the log of {unit.checkpoint.size} entries"
        )
    if leaf_hash is None:
        raise click.UsageError("a leaf's proof needs --leaf")
    head = verify_leaf_proof(text, leaf_hash, verifier)
    return f"entry {parse_proof(text).index} is in the log {head.origin} of {head.size} entries"


def _leaf_hash(text: str) -> bytes:
    is_file = len(text) <= MAX_FILE_NAME and Path(text).is_file()
    try:
        return Leaf.from_bytes(bytes.fromhex((_read(Path(text)) if is_file else text).strip())).hash()
    except FormatError as error:
        raise click.UsageError(f"--leaf: {error.message}") from None
    except ValueError:
        what = "this file does not hold" if is_file else "there is no such file, and this is not"
        raise click.UsageError(f"--leaf: {what} a leaf in hexadecimal, as `prove --leaf` prints it") from None


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise click.UsageError("--content takes the signed bytes of a code in hexadecimal") from None


def _read(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(MAX_PROOF_FILE + 1)
    if len(data) > MAX_PROOF_FILE:
        raise ProofError(f"{path} is larger than any proof")
    return data.decode("utf-8")
