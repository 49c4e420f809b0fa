"""The command for the day after a log was put back: adopt."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import click

from ledger.cli.context import FAULT_FOUND, LedgerContext, OpenContext, ask_or_end, cannot_read, failures
from ledger.errors import NoteError
from ledger.log import Log
from ledger.mark.adoption import MAX_REASON, Assessment, Silent, Word, ask_witnesses, assess, describe, read_word
from ledger.mark.adoption import adopt as run_adopt
from ledger.mark.high_water import HighWaterMark, MarkState
from ledger.merkle import HASH_SIZE
from ledger.own import OwnKind, own_subject
from ledger.statement import read_unverified
from ledger.strict import decode_base64
from ledger.witnessing.transport import HttpTransport

MAX_CHECKPOINT_FILE = 1_000_000


@click.command()
@click.option(
    "--witnessed",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="A checkpoint of this log that somebody outside kept; may be given several times.",
)
@click.option("--show", is_flag=True, help="Only show what is known.")
@click.option("--lost", is_flag=True, help="Go on although acknowledged entries are gone; needs --reason.")
@click.option("--reason", default="", help=f"Why, for everybody to read; at most {MAX_REASON} characters.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print what is known as JSON; acts only with --yes.")
@click.pass_obj
def adopt(
    open_context: OpenContext,
    *,
    witnessed: tuple[Path, ...],
    show: bool,
    lost: bool,
    reason: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Let a log go on whose high-water mark is missing or contradicts it.

    Shows what the mark, the witnesses of the policy and the given checkpoints say, and what the database holds. When
    one of them knows more entries, or others, acknowledged entries are gone: people hold receipts for them. Then put a
    newer backup back, or leave this log as it is and begin another under another name. Only when the log must go on all
    the same, say --lost and --reason: an entry of the log then states the gap for ever, an alarm is raised, and
    witnesses that know more will refuse to cosign this log.
    """
    if lost and not reason:
        raise click.UsageError("--lost needs --reason: everybody will read it")
    if len(reason) > MAX_REASON:
        raise click.BadParameter(f"has at most {MAX_REASON} characters", param_hint="--reason")
    with failures():
        case = _look(open_context(), witnessed)
        if not as_json:
            _tell(case)
        may = not show and not case.nothing_to_do and (case.assessment.is_safe or lost) and (yes or not as_json)
        if may and not yes:
            ask_or_end("Shall the log as it is in the database be the one that counts?")
        index = _adopt(case, reason, lost=lost) if may else None
    if as_json:
        click.echo(json.dumps(_members(case, index, adopted=may)))
    elif may:
        click.echo(
            "Adopted: the mark is that of the frozen log."
            if index is None
            else f"Adopted: entry {index} says so, and the log takes entries again."
        )
        click.echo("" if case.assessment.is_safe else _AFTER_A_LOSS, nl=not case.assessment.is_safe)
    elif not show and not case.nothing_to_do:
        click.echo(_NOT_ADOPTED_OPEN if case.is_open else _NOT_ADOPTED, err=True)
    if case.unsettled and not may:
        sys.exit(FAULT_FOUND)


@dataclass(frozen=True, slots=True)
class _Case:
    """The log, open without its mark, the mark, and what is known about both."""

    context: LedgerContext
    log: Log
    mark: HighWaterMark
    assessment: Assessment
    silent: tuple[Silent, ...]
    settled: Mapping[tuple[int, bytes], int]
    """What the log says itself of losses that were adopted before: (size, root) that somebody knew -> its entry."""

    @property
    def is_open(self) -> bool:
        """Whether the log takes entries."""
        return self.assessment.finding.state is MarkState.OK

    @property
    def unsettled(self) -> tuple[Word, ...]:
        """Words against the log about which it does not say anything yet."""
        against = (*self.assessment.larger, *self.assessment.contradicting)
        return tuple(word for word in against if (word.size, word.root) not in self.settled)

    @property
    def nothing_to_do(self) -> bool:
        return self.is_open and not self.unsettled


def _look(context: LedgerContext, files: tuple[Path, ...]) -> _Case:
    finding = context.open_log().finding()
    if context.high_water is None or finding is None:
        raise click.UsageError("this log keeps no high-water mark")
    log = replace(context, high_water=None).open_log()
    answers = _ask(context, log, files)
    words = [answer for answer in answers if isinstance(answer, Word)]
    silent = tuple(answer for answer in answers if isinstance(answer, Silent))
    return _Case(context, log, context.high_water, assess(log, finding, words), silent, _settled(log))


def _settled(log: Log) -> dict[tuple[int, bytes], int]:
    """Read from the log's own entries which other histories it went on in spite of."""
    found: dict[tuple[int, bytes], int] = {}
    for index in log.entries_of(own_subject(OwnKind.ADOPTED)):
        body = log.entry(index).body
        if body is None:
            continue
        for word in read_unverified(body.statement).payload.get("against", ()):
            found[word["size"], decode_base64(word["root"], size=HASH_SIZE)] = index
    return found


def _adopt(case: _Case, reason: str, *, lost: bool) -> int | None:
    """Adopt and give the entry that says so; a frozen log has none."""
    appended = run_adopt(
        case.assessment,
        log=case.log,
        mark=case.mark,
        engine=case.context.engine,
        signer=case.context.statement_signer,
        reason=reason or _NOTHING_LOST,
        accept_loss=lost,
    )
    return None if appended is None else appended.index


_NOTHING_LOST = "The high-water mark was missing or unreadable; nobody who was asked knows of more entries."
_NOT_ADOPTED = "Not adopted. Put a newer backup back; if there is none, read `marchamo ledger adopt --help`."
_NOT_ADOPTED_OPEN = (
    "Not adopted. The log takes entries, but somebody outside knows others: put a newer backup back; if there is none, "
    "read about --lost in `marchamo ledger adopt --help`."
)
_AFTER_A_LOSS = (
    "Whoever holds a receipt for one of the lost entries keeps a valid proof that it was recorded. Tell them, and ask "
    "them to send their statements again: those are taken up as new entries."
)


def _ask(context: LedgerContext, log: Log, files: tuple[Path, ...]) -> list[Word | Silent]:
    """Collect the words of files and witnesses. A file that is no checkpoint of this log stops the command."""
    keys = log.keys()
    answers: list[Word | Silent] = []
    for path in files:
        with path.open("rb") as file:
            data = file.read(MAX_CHECKPOINT_FILE + 1)
        if len(data) > MAX_CHECKPOINT_FILE:
            cannot_read(f"{path} is larger than any checkpoint")
        try:
            answers.append(read_word(str(path), data, keys, context.origin))
        except NoteError as error:
            cannot_read(f"{path} is no checkpoint of this log: {error.message}")
    transport = HttpTransport()
    try:
        return answers + ask_witnesses(context.policy, keys, context.origin, transport)
    finally:
        transport.close()


def _tell(case: _Case) -> None:
    assessment, unsettled = case.assessment, case.unsettled
    click.echo(f"The database has {assessment.size} entries.")
    click.echo(f"High-water mark: {assessment.finding.message}.")
    for word in assessment.words:
        verdict = (
            "more than the database has"
            if word in assessment.larger
            else "other entries than the database has"
            if word in assessment.contradicting
            else "in agreement"
        )
        entry = None if verdict == "in agreement" else case.settled.get((word.size, word.root))
        known = "" if entry is None else f"; entry {entry} of the log says so"
        click.echo(f"  {word.source}: {word.size} entries, {verdict}{known}")
    for nobody in case.silent:
        click.echo(f"  {nobody.source}: {nobody.why}")
    if unsettled or assessment.is_safe:
        larger = tuple(word for word in assessment.larger if word in unsettled)
        contradicting = tuple(word for word in assessment.contradicting if word in unsettled)
        click.echo(describe(replace(assessment, larger=larger, contradicting=contradicting)))
    else:
        click.echo(
            "Whoever knows another history knows what was lost, and the log says so. New entries took its numbers."
        )
    if case.nothing_to_do:
        click.echo("The log takes entries: there is nothing to adopt.")
    if assessment.is_safe and not any(word.note for word in assessment.words):
        click.echo("No checkpoint from outside was there to compare with: nothing shows that no entry is missing.")


def _members(case: _Case, index: int | None, *, adopted: bool) -> dict[str, object]:
    assessment = case.assessment
    return {
        "size": assessment.size,
        "root": assessment.root.hex(),
        "state": assessment.finding.state.value,
        "words": [word.to_members() for word in assessment.words],
        "silent": [{"source": nobody.source, "why": nobody.why} for nobody in case.silent],
        "lost": assessment.lost,
        "contradicting": [word.source for word in assessment.contradicting],
        "adopted": adopted,
        "entry": index,
    }
