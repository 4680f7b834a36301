"""The table of figures: what counts as reached, how a number reads, what the document keeps."""

from __future__ import annotations

import pytest
from bench.document import BEGIN, END, fill
from bench.figures import Figure, Skipped, best, line, load, median, number, save, summary, words
from bench.rows.work import REQUESTS, once_cost

CONDITIONS = {"machine": "two cores", "runs": 3, "load": "load average 0.1 when it began"}
RATE = Figure("show", "GET of one", 1234.5, "/s", 1500, limit="empty 9,000/s", upstream="39.5/s")
TIME = Figure("page", "a page", 12.34, "ms", 20, least=True)
PLAIN = Figure("memory", "memory", 96.0, "MiB")
SKIPPED = Skipped("real", "a real server", "needs root")


@pytest.mark.parametrize(
    ("value", "reach", "least", "reached"),
    [
        (10, 10, False, True),
        (9.9, 10, False, False),
        (10, 10, True, True),
        (10.1, 10, True, False),
        (10, None, True, None),
    ],
)
def test_a_reach_is_a_floor_for_rates_and_a_ceiling_for_times(value, reach, least, reached):
    assert Figure("k", "n", value, "u", reach, least=least).reached is reached


@pytest.mark.parametrize(
    ("value", "text"), [(1234567.8, "1,234,568"), (100, "100"), (99.96, "100"), (12.345, "12.3"), (0.0123, "0.0123")]
)
def test_numbers_have_three_digits_and_thousands_in_groups(value, text):
    assert number(value) == text


def test_the_best_run_is_the_greatest_rate_and_the_least_time():
    assert best([1, 3, 2]) == 3
    assert best([1, 3, 2], least=True) == 1


def test_the_median_is_the_middle_one():
    assert median([5, 1, 3]) == 3
    assert median([4, 1, 3, 2]) == 3
    with pytest.raises(IndexError):
        median([])


def test_a_line_shows_the_figure_beside_its_reach_and_limit():
    shown = line(RATE)
    assert "1,234 /s" in shown
    assert ">= 1,500 NO" in shown
    assert shown.endswith("empty 9,000/s; upstream 39.5/s")
    assert "<= 20 yes" in line(TIME)
    assert line(PLAIN).endswith("96 MiB")
    assert line(SKIPPED).endswith("needs root")
    assert "skipped" in line(SKIPPED)


def test_the_summary_names_what_is_not_reached():
    assert summary([RATE, TIME, PLAIN, SKIPPED]) == (
        "1 of 2 figures reach what they should; 1 skipped\n  not reached: GET of one"
    )
    assert summary([TIME]) == "1 of 1 figures reach what they should; 0 skipped"


def test_words_leave_out_what_is_empty():
    assert words("", "one", "", "two") == "one; two"


def test_json_keeps_rows_as_they_were(tmp_path):
    save([RATE, SKIPPED, PLAIN], tmp_path / "rows.json", {"runs": 3, "load": "none"})
    conditions, rows = load(tmp_path / "rows.json")
    assert rows == [RATE, SKIPPED, PLAIN]
    assert conditions["runs"] == 3
    assert "cores" in str(conditions["machine"])


DOCUMENT = f"before\n{BEGIN}\nold\n\n| figure | x |\n|---|---|\n| GET of one | 1 /s | | | |\n| a real server | 2 s | | | |\n{END}\nafter\n"


def test_the_document_changes_between_its_marks_alone():
    filled = fill(DOCUMENT, [RATE, TIME], CONDITIONS)
    assert filled.startswith(f"before\n{BEGIN}\nMeasured on: two cores; best of 3;")
    assert filled.endswith(f"{END}\nafter\n")
    assert "| GET of one | 1,234 /s (missed) | >= 1,500 | empty 9,000/s | 39.5/s |" in filled
    assert "| a page | 12.3 ms | <= 20 |  |  |" in filled


def test_the_document_keeps_what_was_not_measured_this_time():
    filled = fill(DOCUMENT, [RATE, SKIPPED], CONDITIONS)
    assert "| a real server | 2 s | | | |" in filled
    assert filled == fill(filled, [RATE, SKIPPED], CONDITIONS)


def test_a_row_that_was_never_measured_says_why():
    assert "| a real server | not measured: needs root | | | |" in fill(f"{BEGIN}\n{END}", [SKIPPED], CONDITIONS)


def test_a_document_without_marks_is_refused():
    with pytest.raises(ValueError, match="needs one"):
        fill("no table", [RATE], CONDITIONS)


def test_counted_work_leaves_out_what_the_cloud_does_by_itself():
    """5 works: 100 to 350, of which idling does 20 in twice the time."""
    assert once_cost(100, 350, 370, 0.5, "gureum_db_statements", 5) == 48.0


def test_counted_requests_leave_out_the_looks():
    """Each look at /metrics is counted by the next: 5 works and one look, then one more look."""
    assert once_cost(10, 16, 17, 1.0, REQUESTS, 5) == 1.0
