"""The cache: bounded, expiring, and never keeping what was loaded before it was cleared."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from gureum.foundation import clock
from gureum.foundation.cache import Cache


def filled(maximum, entries, ttl_s=None):
    cache = Cache(maximum, ttl_s)
    for key, value in entries.items():
        cache.put(key, value, cache.generation)
    return cache


def test_loader_runs_once_per_key():
    cache, calls = Cache(10), []
    for _ in range(2):
        assert cache.load("a", lambda: calls.append(1) or "value") == "value"
    assert (cache.get("a"), cache.get("b"), len(calls)) == ("value", None, 1)


def test_none_is_not_cached_and_false_is():
    cache, calls = Cache(10), []
    for value in (None, False):
        for _ in range(2):
            assert cache.load(value, lambda: calls.append(value) or value) is value
    assert calls == [None, None, False]


def test_value_loaded_while_the_cache_is_cleared_is_returned_and_not_cached():
    cache = Cache(10)

    def interrupted():
        cache.clear()
        return "old"

    assert cache.load("a", interrupted) == "old"
    assert cache.get("a") is None


def test_partial_clear_drops_stale_values_and_everything_that_is_being_loaded():
    cache = filled(10, {"a": 1, "b": 2})
    generation = cache.generation
    cache.clear(lambda value: value == 1)
    assert list(cache) == ["b"]
    cache.put("c", 3, generation)
    assert list(cache) == ["b"]


def test_full_cache_evicts_the_oldest_tenth():
    cache = filled(100, {number: number + 1 for number in range(101)})
    assert list(cache) == list(range(10, 101))
    cache.put(50, -1, cache.generation)
    assert (len(cache), cache.get(50)) == (91, -1)


def test_replacing_a_value_of_a_full_cache_evicts_nothing():
    cache = filled(2, {"a": 1, "b": 2})
    cache.put("b", 3, cache.generation)
    assert [(key, cache.get(key)) for key in cache] == [("a", 1), ("b", 3)]


def test_cache_of_one_entry_keeps_the_newest():
    assert list(filled(1, {"a": 1, "b": 2})) == ["b"]


def test_entries_expire():
    virtual = clock.VirtualClock()
    with clock.use(virtual):
        cache = filled(10, {"a": 1}, ttl_s=5.0)
        virtual.advance(4.0)
        cache.put("b", 2, cache.generation)
        assert (cache.get("a"), cache.get("b")) == (1, 2)
        virtual.advance(1.0)
        assert (cache.get("a"), cache.get("b")) == (None, 2)
        assert list(cache) == ["b"]
        assert cache.load("a", lambda: 3) == 3
        virtual.advance(4.0)
        assert (cache.get("a"), cache.get("b")) == (3, None)


def test_dropped_and_cleared_entries_leave_nothing_behind():
    cache = filled(10, {"a": 1, "b": 2}, ttl_s=5.0)
    cache.drop("a")
    cache.drop("unknown")
    assert (list(cache), list(cache._ends)) == (["b"], ["b"])
    cache.clear()
    assert (len(cache), cache._ends) == (0, {})


@given(
    st.integers(1, 30),
    st.lists(st.tuples(st.sampled_from(["put", "clear", "stale", "drop"]), st.integers(0, 40)), max_size=120),
)
def test_cache_holds_only_what_was_put_last_and_never_more_than_its_maximum(maximum, steps):
    cache, last = Cache(maximum), {}
    for number, (step, key) in enumerate(steps):
        if step == "put":
            cache.put(key, number, cache.generation)
            last[key] = number
            assert cache.get(key) == number
        elif step == "drop":
            cache.drop(key)
            last.pop(key, None)
        elif step == "stale":
            cache.clear(lambda value: value % 2 == 0)
            last = {key: value for key, value in last.items() if value % 2}
        else:
            cache.clear()
            last = {}
        assert len(cache) <= maximum
        assert all(last[key] == cache.get(key) for key in cache)


def test_threads_never_see_a_value_of_before_a_clear():
    """The truth changes, then the cache is cleared: whoever asks after that gets the new truth."""
    cache, truth, cleared, wrong = Cache(8), [0], [0], []
    done = threading.Event()

    def read():
        while not done.is_set():
            for key in range(12):
                least = cleared[0]
                value = cache.load(key, lambda: truth[0])
                if value < least:
                    wrong.append((least, value))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(1, 500):
        truth[0] = number
        cache.clear()
        cleared[0] = number
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []
