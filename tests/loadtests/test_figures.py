"""What RESULTS.md says about figures and goals."""

from loadtests.figures import Bench, Engine, Figure, at_least, at_most, lines_of, number, results_page
from loadtests.machine import Machine

MACHINE = Machine("A processor", 2, 8.0, "Linux 6", "3.11.7", 0.2, 0.9)


def test_a_goal_is_met_at_its_limit_and_missed_beyond_it() -> None:
    assert at_most(50).met_by(50)
    assert not at_most(50).met_by(50.1)
    assert at_least(0.6).met_by(0.6)
    assert not at_least(0.6).met_by(0.599)


def test_figures_of_two_engines_share_a_line() -> None:
    figures = [
        Figure("verify / floor", "ratio", 0.66, Engine.SQLITE, at_least(0.6)),
        Figure("verify / floor", "ratio", 0.61, Engine.POSTGRESQL, at_least(0.6)),
    ]
    assert lines_of(figures) == [("verify / floor, ratio", ">= 0.6", "0.66", "0.61", "yes")]


def test_a_goal_missed_on_one_engine_says_on_which() -> None:
    figures = [
        Figure("p99", "ms", 80, Engine.SQLITE, at_most(100)),
        Figure("p99", "ms", 120, Engine.POSTGRESQL, at_most(100)),
    ]
    assert lines_of(figures)[0][-1] == "**NO** (postgresql)"


def test_a_figure_without_database_stands_in_both_columns() -> None:
    assert lines_of([Figure("offline", "us", 156.2)]) == [("offline, us", "-", "156", "156", "-")]


def test_numbers_keep_three_digits() -> None:
    assert [number(value) for value in (0, 0.1234, 12.345, 1234.5)] == ["0", "0.123", "12.3", "1,234"]


def test_the_page_names_missed_failed_and_skipped_rows_plainly() -> None:
    benches = [
        Bench("good", "python -m good", (Figure("time", "s", 1, goal=at_most(2)),)),
        Bench("slow", "python -m slow", (Figure("time", "s", 3, goal=at_most(2)),)),
        Bench("broken", "python -m broken", failed="RuntimeError: no answer"),
        Bench("absent", "python -m absent", skipped="wrk is not on this machine"),
    ]
    page = results_page(MACHINE, benches, day="2026-01-02", quick=False)
    assert "Goals missed in: slow, broken." in page
    assert "| time, s | <= 2 | 3 | 3 | **NO** |" in page
    assert "**FAILED**: RuntimeError: no answer" in page
    assert "Skipped: wrk is not on this machine." in page
    assert "fsync after 4 KiB: median 0.2 ms" in page


def test_a_quick_run_says_that_it_is_no_figure_of_ours() -> None:
    assert "quick run" in results_page(MACHINE, [], day="2026-01-02", quick=True)
