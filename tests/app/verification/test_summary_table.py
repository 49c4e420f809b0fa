"""The summary table is total, and no axis turns another's warning into a pass."""

from __future__ import annotations

import itertools

from app.verification.sentences import advice_key
from app.verification.summary_table import (
    AUTHENTICITY,
    LABOUR,
    PRECEDENCE,
    RISK,
    SEES_LABOUR,
    STATUS,
    status_summary,
    summarise,
)
from app.verification.verdict import AskerRole, Authenticity, Labour, Reason, Risk, Status, Summary, Verdict

STRICTNESS = {Summary.PASS: 0, Summary.CHECK: 1, Summary.STOP: 2}
RISKS: list[Risk | None] = [*Risk, None]
LABOURS: list[Labour | None] = [*Labour, None]


def test_the_table_is_total() -> None:
    assert set(AUTHENTICITY) == set(Authenticity)
    assert set(STATUS) == set(Status) == set(PRECEDENCE)
    assert set(RISK) == set(Risk)
    assert set(LABOUR) == set(Labour)


def test_every_combination_is_the_strictest_of_its_parts_and_has_a_sentence() -> None:
    pairs = [frozenset(some) for size in (1, 2) for some in itertools.combinations(Status, size)]
    for authenticity, status, risk, labour, asker in itertools.product(Authenticity, pairs, RISKS, LABOURS, AskerRole):
        summary = summarise(authenticity=authenticity, status=status, risk=risk, labour=labour, asker=asker)
        parts = [AUTHENTICITY[authenticity], *(status_summary(one, asker) for one in status)]
        parts += [RISK[risk]] if risk is not None else []
        parts += [LABOUR[labour]] if labour is not None and asker in SEES_LABOUR else []
        assert STRICTNESS[summary] == max(STRICTNESS[part] for part in parts)
        assert advice_key(Verdict(authenticity, status, risk, labour, summary, ()), asker)


def test_only_a_registered_unit_can_pass() -> None:
    for authenticity, asker in itertools.product(Authenticity, AskerRole):
        summary = summarise(authenticity=authenticity, status={Status.ACTIVE}, risk=Risk.NONE, labour=None, asker=asker)
        assert (summary is Summary.PASS) == (authenticity is Authenticity.REGISTERED)


def test_an_axis_that_was_not_evaluated_neither_spoils_nor_makes_a_pass() -> None:
    for asker, risk in itertools.product(AskerRole, RISKS):
        for authenticity in Authenticity:
            with_it = summarise(authenticity=authenticity, status={Status.ACTIVE}, risk=risk, labour=None, asker=asker)
            without = summarise(
                authenticity=authenticity,
                status={Status.ACTIVE},
                risk=risk,
                labour=Labour.NO_ADVERSE_FINDING,
                asker=asker,
            )
            assert with_it is without


def test_labour_is_for_customs_only() -> None:
    for asker in AskerRole:
        summary = summarise(
            authenticity=Authenticity.REGISTERED,
            status={Status.ACTIVE},
            risk=Risk.NONE,
            labour=Labour.PROHIBITED,
            asker=asker,
        )
        assert (summary is Summary.STOP) == (asker is AskerRole.CUSTOMS)


def test_the_sentence_speaks_of_the_weightiest_status() -> None:
    status = frozenset({Status.SOLD, Status.RECALLED, Status.STOLEN, Status.EXPIRED})
    verdict = Verdict(Authenticity.REGISTERED, status, Risk.SUSPECT, None, Summary.STOP, ())
    assert "stolen" in advice_key(verdict, AskerRole.SHOP)


def test_no_sentence_promises_more_than_was_checked() -> None:
    from app.verification import sentences

    spoken = [
        *sentences.AUTHENTICITY.values(),
        *sentences.STATUS.values(),
        *sentences.RISK.values(),
        *sentences.LABOUR.values(),
    ]
    for sentence in spoken:
        for word in ("genuine", "authentic", "fake", "original", "guarantee"):
            assert word not in sentence.lower()


def test_a_suspended_issuer_is_looked_at_by_a_person_whoever_asks() -> None:
    reasons = (Reason.SIGNATURE_VALID, Reason.ISSUER_SUSPENDED)
    for asker, status in itertools.product(AskerRole, Status):
        known = {"authenticity": Authenticity.REGISTERED, "risk": Risk.NONE, "labour": None, "asker": asker}
        without = summarise(status={status}, **known)  # type: ignore[arg-type]
        summary = summarise(status={status}, reasons=reasons, **known)  # type: ignore[arg-type]
        assert STRICTNESS[summary] == max(STRICTNESS[without], STRICTNESS[Summary.CHECK])
    verdict = Verdict(Authenticity.REGISTERED, frozenset({Status.ACTIVE}), Risk.NONE, None, Summary.CHECK, reasons)
    assert "suspended" in advice_key(verdict, AskerRole.PUBLIC)
