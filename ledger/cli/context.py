"""What the ledger's commands share: the log they work on, and how what stands in their way is said.

Exit codes: 0 all is well, 1 a fault was found, 2 wrong usage or you said no, 3 cannot be read or had.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

import click
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from ledger.audit import ExtraCheck
from ledger.erasure import BodyCopies
from ledger.errors import EntryNotFound, LedgerError, NoteError, PolicyError, TransportError
from ledger.keys.rotation import KeyKeeper
from ledger.log import Log
from ledger.mark.high_water import HighWaterMark
from ledger.note import NoteSigner
from ledger.own import StatementSigner
from ledger.storage.sql import SqlLogStorage
from ledger.witnessing.cosigned import CosignedCheckpoints
from ledger.witnessing.policy import Policy

FAULT_FOUND = 1
NOT_DONE = 2
CANNOT_READ = 3


@dataclass(frozen=True, slots=True)
class LedgerContext:
    """The log that the commands work on. The product's command line passes a function that gives it, as `ctx.obj`."""

    engine: Engine
    origin: str
    signer: NoteSigner
    statement_signer: StatementSigner
    extra_checks: tuple[ExtraCheck, ...] = ()
    keeper: KeyKeeper | None = None
    """Keeps the keys of a log that may change them."""
    high_water: HighWaterMark | None = None
    policy: Policy = field(default_factory=Policy)
    """The witnesses whose cosignatures count."""
    copies: tuple[BodyCopies, ...] = ()
    """Where the product repeats what bodies say: erased together with them."""
    needed: Mapping[str, str] = field(default_factory=dict)
    """Kinds of entry whose bodies are never erased, each with the reason."""
    grave: Callable[[Mapping[str, Any]], str] = lambda _statement: ""
    """Gives the kind of the event that a statement makes, where somebody will want to prove it later; else nothing."""

    def open_log(self) -> Log:
        """Open the log with its checks at the door."""
        signers = None if self.keeper is None else self.keeper.signers
        return Log.open(
            self.engine, origin=self.origin, signer=self.signer, signers=signers, high_water=self.high_water
        )

    def cosigned(self, log: Log) -> CosignedCheckpoints:
        """Give the reader of the log's checkpoints with the witnesses' cosignatures."""
        return CosignedCheckpoints(log, SqlLogStorage(self.engine), self.policy)


OpenContext = Callable[[], LedgerContext]


@contextmanager
def failures() -> Iterator[None]:
    """Turn what keeps a command from its work into a sentence and exit code 3; a contradiction in the log into 1."""
    try:
        yield
    except (NoteError, EntryNotFound, PolicyError, TransportError) as error:
        cannot_read(error.diagnostics())
    except LedgerError as error:
        click.echo(f"{error.code}: {error.diagnostics()}", err=True)
        sys.exit(FAULT_FOUND)
    except SQLAlchemyError as error:
        cannot_read(f"the database cannot be read: {getattr(error, 'orig', None) or type(error).__name__}")
    except (OSError, UnicodeDecodeError) as error:
        cannot_read(str(error))


def ask_or_end(question: str) -> None:
    """Ask, and end with exit code 2 when the answer is no: nothing was done, and nothing is wrong."""
    try:
        agreed = click.confirm(question)
    except click.Abort:
        agreed = False
    if not agreed:
        click.echo("Nothing was done.", err=True)
        sys.exit(NOT_DONE)


def cannot_read(message: str) -> NoReturn:
    """Say what could not be read and end with exit code 3."""
    click.echo(message, err=True)
    sys.exit(CANNOT_READ)
