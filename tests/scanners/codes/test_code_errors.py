"""The base of all errors of codes."""

from __future__ import annotations

import pickle

from scanners.codes.errors import CodeError


def test_an_error_has_a_code_a_sentence_and_a_fix() -> None:
    error = CodeError("too_long", "The code is too long.", fix="Scan one code at a time.")
    assert (error.code, str(error), error.fix) == ("too_long", "The code is too long.", "Scan one code at a time.")
    assert isinstance(error, ValueError)


def test_an_error_survives_the_way_back_from_a_worker_process() -> None:
    error = CodeError("too_long", "The code is too long.", fix="Scan one code at a time.")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (copy.code, str(copy), copy.fix) == (error.code, str(error), error.fix)
