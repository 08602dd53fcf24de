"""Master of a wired M-Bus and the search for its slaves; runs on CPython and on MicroPython."""

from dicamm.proto import mbus_master as core
from dicamm.proto.mbus_master import DONE, FAILED, PENDING, MbusMaster, long_frame
from dicamm.proto.mbus_search import MAX_ATTEMPTS, NOBODY, ONE, SEVERAL, SecondarySearch

DATA = long_frame(0x08, 5, b"\x78\x01\x03\x05")
LATER = long_frame(0x08, 5, b"\x78\x01\x03\x06")


def test_requests_are_the_bytes_of_the_standard():
    master = MbusMaster()
    assert master.reset(1) == bytes.fromhex("10 40 01 41 16")
    assert master.request(1) == bytes.fromhex("10 7b 01 7c 16")
    assert master.request(1) == bytes.fromhex("10 5b 01 5c 16")
    assert master.request(1, alarm=True) == bytes.fromhex("10 7a 01 7b 16")
    assert master.select(bytes.fromhex("78563412ffffffff")) == bytes.fromhex(
        "68 0b 0b 68 53 fd 52 78563412 ffffffff b2 16"
    )
    assert master.set_address(5, 7) == bytes.fromhex("68 06 06 68 73 05 51 01 7a 07 4b 16")
    assert master.reset_application(255) == bytes.fromhex("68 03 03 68 73 ff 50 c2 16")


def test_frame_count_bit_changes_with_each_request_not_with_a_repeat():
    master = MbusMaster()
    first = master.request(9)
    assert master.repeat() == first
    second = master.request(9)
    assert (first[1], second[1]) == (0x7B, 0x5B)
    assert master.request(10)[1] == 0x7B  # each address counts for itself
    master.reset(9)
    assert master.request(9)[1] == 0x7B


def test_an_acknowledgement_ends_a_reset():
    master = MbusMaster()
    master.reset(5)
    assert master.status == PENDING
    assert master.feed(b"\xe5") == DONE and master.frame is None


def test_data_ends_a_request_in_any_chunking():
    for cut in range(len(DATA)):
        master = MbusMaster()
        master.request(5)
        assert master.feed(DATA[:cut]) == PENDING
        assert master.feed(DATA[cut:]) == DONE
        assert master.frame.data == b"\x78\x01\x03\x05" and master.error == 0


def test_the_echo_of_the_request_is_no_answer():
    master = MbusMaster()
    frame = master.request(5)
    assert master.feed(frame) == PENDING
    assert master.feed(DATA) == DONE


def test_failures_have_their_reasons():
    bad = bytearray(DATA)
    bad[-2] ^= 1
    for answer, error in (
        (b"", core.NO_ANSWER),
        (bytes(bad), core.GARBLED),
        (DATA[:-1], core.GARBLED),
        (b"\x00", core.GARBLED),
        (long_frame(0x08, 6, b"\x78"), core.OTHER_ADDRESS),
        (b"\xe5", core.UNEXPECTED),
    ):
        master = MbusMaster()
        master.request(5)
        assert master.feed(answer) == PENDING
        assert master.silence() == FAILED and master.error == error and master.frame is None
    master = MbusMaster()
    master.reset(5)
    assert master.feed(DATA) == PENDING and master.silence() == FAILED
    assert master.error == core.UNEXPECTED


def test_the_selected_slave_may_have_any_address():
    for address in (core.SELECTED, core.ANY):
        master = MbusMaster()
        master.request(address)
        assert master.feed(DATA) == DONE


def test_no_alarm_is_an_answer():
    master = MbusMaster()
    master.request(5, alarm=True)
    assert master.feed(b"\xe5") == DONE and master.frame is None


def test_a_late_answer_is_not_the_next_one():
    master = MbusMaster()
    master.request(5)
    master.silence()
    master.repeat()
    assert master.feed(DATA) == DONE  # to the first sending
    master.request(5)
    assert master.feed(DATA) == PENDING  # to the repeat
    assert master.feed(LATER) == DONE and master.frame.data[-1] == 6
    master.reset(5)
    master.feed(b"\xe5")
    master.request(5)
    assert master.feed(LATER) == DONE  # after a reset the same data may be right


def test_bytes_of_an_earlier_request_do_not_count():
    master = MbusMaster()
    master.request(5)
    master.feed(DATA[:9])
    master.silence()
    master.repeat()
    assert master.feed(DATA) == DONE


def test_times_follow_the_speed():
    assert core.answer_us(2400) == 187500 and core.answer_us(9600) == 84375
    assert core.gap_us(2400) == 13750


def test_arguments_out_of_range_are_refused():
    master = MbusMaster()
    for wrong in (
        lambda: master.select(b"\xff" * 7),
        lambda: master.set_address(1, 251),
        lambda: master.command(1, b""),
        lambda: master.command(1, bytes(254)),
    ):
        try:
            wrong()
        except ValueError:
            continue
        raise AssertionError


def fits(wanted, own):
    """Whether a slave answers to a selection."""
    for place in range(4):
        for shift in (0, 4):
            digit = wanted[place] >> shift & 15
            if digit not in (15, own[place] >> shift & 15):
                return False
    return all([wanted[place] in (255, own[place]) for place in range(4, 8)])


def search(slaves):
    """Runs a search among slaves that are heard only one at a time."""
    run = SecondarySearch()
    while True:
        wanted = run.next()
        if wanted is None:
            return run
        answering = [own for own in slaves if fits(wanted, own)]
        if len(answering) == 1:
            run.told(ONE, answering[0])
        else:
            run.told(SEVERAL if answering else NOBODY)


def slave(digits, more="93153302"):
    return bytes(reversed(bytes.fromhex(digits))) + bytes.fromhex(more)


def test_search_finds_all_slaves_once():
    for all_digits in (
        (),
        ("00000000",),
        ("99999999",),
        ("12345678", "12345679"),
        ("00000000", "00000001", "09999999", "99999999", "50000000", "50000009"),
    ):
        slaves = [slave(digits) for digits in all_digits]
        run = search(slaves)
        assert sorted(run.found) == sorted(slaves) and run.ambiguous == []


def test_search_takes_ten_attempts_for_each_digit_that_is_shared():
    assert search([]).attempts == 1
    assert search([slave("12345678")]).attempts == 1
    assert search([slave("12345678"), slave("22345678")]).attempts == 11
    assert search([slave("12345678"), slave("12345679")]).attempts == 81


def test_slaves_that_share_all_digits_are_told():
    run = search([slave("12345678"), slave("12345678", "24400107"), slave("00000001")])
    assert run.found == [slave("00000001")]
    assert run.ambiguous == [slave("12345678")[:4]]


def test_a_line_that_only_garbles_ends_the_search():
    run = SecondarySearch()
    while run.next() is not None:
        run.told(SEVERAL)
    assert run.attempts == MAX_ATTEMPTS and not run.complete
    assert search([slave("12345678")]).complete
