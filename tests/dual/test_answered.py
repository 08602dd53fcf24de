"""Recorded events are found again by UUID and kind, the newest of them, within a bound."""

from dicamm.control.answered import REMEMBERED, Answered
from dicamm.metering import record


def uuid(number):
    return bytes(12) + number.to_bytes(4, "big")


def test_an_event_is_found_by_uuid_and_kind():
    answered = Answered()
    answered.add(uuid(1), record.BEGIN, 7)
    assert answered.find(uuid(1), record.BEGIN) == 7
    assert answered.find(uuid(1), record.END) == 0
    assert answered.find(uuid(2), record.BEGIN) == 0


def test_whatever_ended_a_transaction_is_its_end():
    for event in record.ENDS:
        answered = Answered()
        answered.add(uuid(1), event, 9)
        assert answered.find(uuid(1), record.END) == 9


def test_refusals_and_changes_are_kinds_of_their_own():
    answered = Answered()
    answered.add(uuid(1), record.REFUSED, 3)
    answered.add(uuid(1), record.CHANGE, 4)
    assert answered.find(uuid(1), record.REFUSED) == 3
    assert answered.find(uuid(1), record.CHANGE) == 4
    assert answered.find(uuid(1), record.BEGIN) == 0


def test_the_newest_events_are_kept_and_the_oldest_gives_way():
    answered = Answered()
    for number in range(3 * REMEMBERED + 5):
        answered.add(uuid(number), record.BEGIN, number + 1)
        first = max(0, number + 1 - REMEMBERED)
        for back in (0, number - first):
            assert answered.find(uuid(number - back), record.BEGIN) == number - back + 1
        if first:
            assert answered.find(uuid(first - 1), record.BEGIN) == 0


def test_of_two_records_of_one_event_the_newer_is_found():
    answered = Answered()
    answered.add(uuid(1), record.REFUSED, 3)
    answered.add(uuid(1), record.REFUSED, 8)
    assert answered.find(uuid(1), record.REFUSED) == 8


def test_a_number_beyond_31_bits_stays_whole():
    answered = Answered()
    answered.add(uuid(1), record.BEGIN, (1 << 32) - 1)
    assert answered.find(uuid(1), record.BEGIN) == (1 << 32) - 1
