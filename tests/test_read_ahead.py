"""Reading ahead: the order, the errors in their places, and the bound on memory."""

import contextlib
import threading
import time

import pytest

from dataset.read_ahead import read_ahead


def test_results_come_in_order_whichever_is_read_first():
    def read(number):
        time.sleep(0.01 * (number % 3 == 0))
        return number**2

    found = [future.result() for future in read_ahead(read, range(20), 4, 3)]
    assert found == [number**2 for number in range(20)]


def test_no_files_and_fewer_than_wait():
    assert list(read_ahead(abs, [], 2, 3)) == []
    assert [future.result() for future in read_ahead(abs, [-1, -2], 2, 5)] == [1, 2]


def test_an_error_appears_in_its_place_and_stops_no_other():
    def read(number):
        if number == 2:
            raise ValueError("the third")
        return number

    futures = list(read_ahead(read, range(5), 2, 2))
    with pytest.raises(ValueError, match="the third"):
        futures[2].result()
    assert [futures[i].result() for i in (0, 1, 3, 4)] == [0, 1, 3, 4]


def test_several_are_read_at_once():
    """Both threads wait for each other, which one thread alone never could."""
    meeting = threading.Barrier(2, timeout=60)

    def read(number):
        meeting.wait()
        return number

    assert [future.result() for future in read_ahead(read, range(4), 2, 2)] == [
        *range(4)
    ]


def test_no_more_is_read_while_enough_waits():
    started = []
    futures = read_ahead(started.append, range(99), 2, 3)
    for used in range(5):
        next(futures).result()
        assert len(started) <= used + 1 + 3
    futures.close()
    assert len(started) <= 5 + 3


def test_what_waits_is_cancelled():
    gate, started = threading.Event(), []

    def read(number):
        started.append(number)
        gate.wait(60)

    with contextlib.closing(read_ahead(read, range(9), 1, 5)) as futures:
        next(futures)
        threading.Timer(0.2, gate.set).start()  # closing waits for what is being read
    assert started == [0]
