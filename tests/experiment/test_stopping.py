"""Stopping by signals: the first lets a step finish, the second does not."""

import os
import signal
import threading

import pytest

from siamesekit.experiment.stopping import SIGNALS, Stop, Stopped


@pytest.mark.parametrize("number", SIGNALS)
def test_between_steps_the_first_signal_is_noted_and_the_second_raises(number: int) -> None:
    stop = Stop()
    with stop.listening(), stop.deferring():
        os.kill(os.getpid(), number)
        assert stop.requested == number
        with pytest.raises(Stopped) as stopped:
            os.kill(os.getpid(), number)
    assert (stopped.value.number, stopped.value.saved) == (number, False)


@pytest.mark.parametrize("number", SIGNALS)
def test_elsewhere_a_signal_raises_at_once(number: int) -> None:
    stop = Stop()
    with stop.listening(), pytest.raises(Stopped, match=signal.Signals(number).name):
        os.kill(os.getpid(), number)
    assert stop.requested is None


def test_afterwards_the_handlers_are_those_from_before() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with Stop().listening():
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_in_another_thread_signals_are_left_alone() -> None:
    before, seen = signal.getsignal(signal.SIGINT), []

    def listen() -> None:
        with Stop().listening():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert seen == [before]


def test_no_handler_for_exceptions_swallows_it() -> None:
    assert not issubclass(Stopped, Exception)
