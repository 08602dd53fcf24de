"""The relay is open on every doubt and closed only when nothing at all speaks against it."""

from dicamm.control.interlock import Interlock


class Relay:
    """Tells what it was made to do."""

    def __init__(self, closed=False):
        self.closed = closed
        self.calls = []

    def open(self):
        self.closed = False
        self.calls.append("open")

    def close(self):
        self.closed = True
        self.calls.append("close")

    def is_closed(self):
        return self.closed


def ready():
    """(interlock that may close, its relay)."""
    relay = Relay()
    interlock = Interlock(relay)
    interlock.release("starting")
    return interlock, relay


def test_a_relay_found_closed_is_opened_at_the_start():
    relay = Relay(closed=True)
    interlock = Interlock(relay)
    assert not relay.closed and not interlock.is_closed()


def test_it_starts_locked_and_does_not_close():
    relay = Relay()
    interlock = Interlock(relay)
    assert interlock.locked() == ["starting"]
    assert interlock.close() is False
    assert "close" not in relay.calls


def test_it_closes_and_opens_when_nothing_locks_it():
    interlock, relay = ready()
    assert interlock.close() is True and relay.closed and interlock.is_closed()
    interlock.open()
    assert not relay.closed and not interlock.is_closed()


def test_a_lock_opens_the_closed_relay_at_once():
    interlock, relay = ready()
    interlock.close()
    interlock.lock("storage")
    assert not relay.closed and interlock.close() is False


def test_a_release_takes_the_lock_away_but_closes_nothing():
    interlock, relay = ready()
    interlock.close()
    interlock.lock("storage")
    interlock.release("storage")
    assert not relay.closed and interlock.locked() == []
    assert interlock.close() is True


def test_every_reason_must_be_released():
    interlock, _ = ready()
    for reason in ("storage", "hung task", "bus"):
        interlock.lock(reason)
    assert interlock.locked() == ["bus", "hung task", "storage"]
    interlock.release("bus")
    interlock.release("storage")
    assert interlock.close() is False and interlock.locked() == ["hung task"]
    interlock.release("hung task")
    assert interlock.close() is True


def test_a_reason_locked_twice_is_released_once():
    interlock, _ = ready()
    interlock.lock("storage")
    interlock.lock("storage")
    interlock.release("storage")
    assert interlock.close() is True


def test_release_of_what_does_not_lock_changes_nothing():
    interlock, relay = ready()
    interlock.lock("storage")
    interlock.release("bus")
    assert interlock.locked() == ["storage"] and interlock.close() is False
    assert "close" not in relay.calls


def test_the_list_of_reasons_is_the_callers_own():
    interlock, _ = ready()
    interlock.lock("storage")
    interlock.locked().clear()
    assert interlock.close() is False


def test_is_closed_is_what_the_relay_says():
    interlock, relay = ready()
    interlock.close()
    relay.closed = False  # fell without being told
    assert not interlock.is_closed()
