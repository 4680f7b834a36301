"""The minimum rate of a stream: averaged over whole windows of waiting, not over the time that it takes."""

from __future__ import annotations

import pytest

from gureum.drivers.image.pace import MinimumRate, Pace, TooSlow

MINIMUM = MinimumRate(bytes_s=1024, window_s=30)


def test_slow_stream_is_cut_off_at_the_end_of_a_window():
    pace = Pace(MINIMUM)
    for _ in range(29):
        pace.waited(1, 1)
    with pytest.raises(TooSlow, match="1 KiB/s"):
        pace.waited(1, 1)


def test_stream_at_the_minimum_goes_on():
    pace = Pace(MINIMUM)
    for _ in range(300):
        pace.waited(1, 1024)


def test_bursts_and_pauses_are_averaged():
    pace = Pace(MINIMUM)
    pace.waited(0, 30 * 1024)
    pace.waited(30, 0)
    with pytest.raises(TooSlow):
        pace.waited(30, 0)


def test_time_that_is_not_spent_waiting_does_not_count():
    pace = Pace(MINIMUM)
    for _ in range(1000):
        pace.waited(0, 1)
    pace.waited(29, 0)


def test_without_a_minimum_nothing_is_too_slow():
    Pace(MinimumRate(bytes_s=0)).waited(1e6, 0)
