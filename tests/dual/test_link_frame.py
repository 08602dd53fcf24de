"""Runs on CPython (pytest) and on MicroPython (tools/run_dual.py): plain functions, asserts."""

from dicamm.proto import link_frame
from dicamm.proto.link_frame import DISCARD, FRAME, LOG, MAX_LINE, MAX_PAYLOAD, LinkReceiver

# zero, COBS code, "hello", CRC-32 0x3610a686, zero
HELLO = bytes.fromhex("000a68656c6c6f86a6103600")

# payload 03 04 1b 00, CRC-32 0x9dce13b4; COBS 04 03 04 1b 05 b4 13 ce 9d; its first four stuffed
STUFFED_PAYLOAD = b"\x03\x04\x1b\x00"
STUFFED = bytes.fromhex("001b441b431b441b5b05b413ce9d00")


def received(*chunks):
    receiver = LinkReceiver()
    for chunk in chunks:
        receiver.feed(chunk)
    return drained(receiver), receiver.discarded


def drained(receiver):
    found = []
    while True:
        event = receiver.next_event()
        if event is None:
            return found
        found.append((event.kind, event.data))


def flipped(data, position):
    changed = bytearray(data)
    changed[position] ^= 1
    return bytes(changed)


def test_encoder_writes_the_spelled_out_frames():
    assert link_frame.encode(b"hello") == HELLO
    assert link_frame.encode(bytearray(b"hello")) == HELLO
    assert link_frame.encode(memoryview(b"hello")) == HELLO
    assert link_frame.encode(STUFFED_PAYLOAD) == STUFFED


def test_spelled_out_frames_are_received():
    assert received(HELLO) == ([(FRAME, b"hello")], {})
    assert received(STUFFED) == ([(FRAME, STUFFED_PAYLOAD)], {})


def test_cobs_examples():
    # the encoding examples of Wikipedia's article on COBS, without the zero at the end
    up = bytes(range(1, 256))
    for plain, coded in (
        (b"\x00", "0101"),
        (b"\x00\x00", "010101"),
        (b"\x00\x11\x00", "01021101"),
        (b"\x11\x22\x00\x33", "0311220233"),
        (b"\x11\x22\x33\x44", "0511223344"),
        (b"\x11\x00\x00\x00", "0211010101"),
        (up[:254], "ff" + up[:254].hex()),
        (b"\x00" + up[:254], "01ff" + up[:254].hex()),
        (up, "ff" + up[:254].hex() + "02ff"),
        (up[1:] + b"\x00", "ff" + up[1:].hex() + "0101"),
        (up[2:] + b"\x00\x01", "fe" + up[2:].hex() + "0201"),
        (b"", "01"),
    ):
        assert link_frame.encode_cobs(plain).hex() == coded
        assert link_frame.decode_cobs(bytes.fromhex(coded)) == plain


def test_broken_cobs_is_none():
    for coded in ("02", "0311", "00", "ff01", "021105"):
        assert link_frame.decode_cobs(bytes.fromhex(coded)) is None


def test_stuffing_has_one_form():
    for stuffed in (b"\x1b", b"a\x1b", b"\x1bA", b"\x1b\x1b", b"\x03", b"\x04", b"\x1b\x5b\x03"):
        assert link_frame.unstuff(stuffed) is None
    assert link_frame.unstuff(b"\x1b[C") == b"\x1bC"
    assert link_frame.unstuff(b"\x1b[\x1bC\x1bD") == b"\x1b\x03\x04"


def test_every_payload_size_comes_back():
    for size in (0, 1, 2, 249, 250, 251, 252, 253, 254, 255, 503, 504, 505, 1023, MAX_PAYLOAD):
        for fill in (0, 3, 4, 10, 27, 255):
            payload = bytes([fill]) * size
            frame = link_frame.encode(payload)
            assert 3 not in frame and 4 not in frame and frame.count(b"\x00") == 2
            assert len(frame) <= MAX_LINE + 2
            assert received(frame) == ([(FRAME, payload)], {})


def test_payload_over_the_limit_is_not_encoded():
    try:
        link_frame.encode(bytes(MAX_PAYLOAD + 1))
        raise AssertionError("encoded")
    except ValueError as error:
        assert str(error) == "payload of 1025 bytes, limit 1024"


def test_payload_over_the_limit_is_discarded():
    payload = b"\xaa" * (MAX_PAYLOAD + 1)
    whole = payload + link_frame.binascii.crc32(payload).to_bytes(4, "little")
    chunk = link_frame.stuff(link_frame.encode_cobs(whole))
    assert received(b"\x00", chunk, b"\x00", HELLO) == (
        [(DISCARD, "too long"), (FRAME, b"hello")],
        {"too long": 1},
    )


def test_frame_in_any_chunking():
    for frame in (HELLO, STUFFED):
        whole = received(frame)
        for cut in range(len(frame)):
            assert received(frame[:cut], frame[cut:]) == whole
        assert received(*[frame[index : index + 1] for index in range(len(frame))]) == whole


def test_flipped_bit_costs_only_its_frame():
    for position in range(1, len(HELLO) - 1):
        found, discarded = received(flipped(HELLO, position), HELLO)
        assert found[0][0] == DISCARD and found[1:] == [(FRAME, b"hello")]
        assert discarded == {found[0][1]: 1}


def test_discard_names_the_first_check_that_failed():
    for chunk, reason in (
        (HELLO[1:5] + b"\x1b" + HELLO[6:-1], "stuffing"),
        (b"\x0b" + HELLO[2:-1], "cobs"),
        (b"\x02\xff", "short"),
        (flipped(HELLO, 3)[1:-1], "crc"),
    ):
        assert received(b"\x00" + chunk + b"\x00") == ([(DISCARD, reason)], {reason: 1})


def test_discard_keeps_the_bytes_as_evidence():
    receiver = LinkReceiver()
    receiver.feed(flipped(HELLO, 3))
    assert receiver.next_event().raw == flipped(HELLO, 3)[1:-1]


def test_frames_follow_each_other_with_two_zeros_or_one():
    both = [(FRAME, b"hello"), (FRAME, STUFFED_PAYLOAD)]
    assert received(HELLO, STUFFED) == (both, {})
    assert received(HELLO, STUFFED[1:]) == (both, {})
    assert received(HELLO, b"\x00\x00\x00", STUFFED) == (both, {})


def test_console_lines_come_without_any_zero():
    found, discarded = received(b"boot ok\r\nsec", b"ond\n", b"\n", b">>> ")
    assert found == [(LOG, b"boot ok\r\n"), (LOG, b"second\n"), (LOG, b"\n")]
    assert discarded == {}


def test_console_line_keeps_any_byte_but_zero():
    line = bytes(range(11, 256)) + b"\n"
    assert received(line) == ([(LOG, line)], {})


def test_prompt_is_log_when_a_frame_begins():
    assert received(b">>> ", HELLO) == ([(LOG, b">>> "), (FRAME, b"hello")], {})


def test_prompt_is_log_when_the_line_is_quiet():
    receiver = LinkReceiver()
    receiver.feed(b"boot\n>>> ")
    receiver.flush()
    receiver.flush()
    assert drained(receiver) == [(LOG, b"boot\n"), (LOG, b">>> ")]


def test_text_between_zeros_is_log_by_line():
    found, discarded = received(b"\x00one\r\ntwo\n\x1b[31mthree\x1b[0m", HELLO)
    assert found == [
        (LOG, b"one\r\n"),
        (LOG, b"two\n"),
        (LOG, b"\x1b[31mthree\x1b[0m"),
        (FRAME, b"hello"),
    ]
    assert discarded == {}


def test_text_that_happens_to_be_cobs_is_log():
    text = b" " + b"a" * 31  # COBS code 32 and 31 bytes; their last four are no CRC
    assert link_frame.decode_cobs(text) is not None
    assert received(b"\x00" + text + b"\x00") == ([(LOG, text)], {})


def test_cut_frame_without_control_bytes_passes_for_text():
    # the code byte of HELLO is a line feed: no rule on bytes alone can tell this from text
    assert received(HELLO[:6], HELLO)[0] == [(LOG, b"\n"), (LOG, b"hell"), (FRAME, b"hello")]


def test_text_in_other_scripts_is_log():
    text = "Zähler bereit 電\n".encode()
    assert received(text, b"\x00", text, HELLO)[0] == [(LOG, text), (LOG, text), (FRAME, b"hello")]


def test_frame_cut_short_by_a_reset_costs_no_good_frame():
    boot = b"MPY: soft reboot\r\n"
    found, discarded = received(STUFFED[:11], boot, HELLO, boot, HELLO)
    assert found == [(DISCARD, "cobs"), (FRAME, b"hello"), (LOG, boot), (FRAME, b"hello")]
    assert discarded == {"cobs": 1}


def test_frame_begun_and_never_ended_is_given_up_when_quiet():
    receiver = LinkReceiver()
    receiver.feed(STUFFED[:11])
    receiver.flush()
    receiver.feed(b"Traceback:\n")
    receiver.feed(HELLO)
    assert drained(receiver) == [
        (DISCARD, "incomplete"),
        (LOG, b"Traceback:\n"),
        (FRAME, b"hello"),
    ]
    assert receiver.discarded == {"incomplete": 1}


def test_begin_in_the_middle_of_a_frame_costs_only_that_frame():
    for begin in range(1, len(HELLO) - 1):
        found, _ = received(HELLO[begin:], HELLO, b"line\n", HELLO)
        assert found[-3:] == [(FRAME, b"hello"), (LOG, b"line\n"), (FRAME, b"hello")]


def test_overlong_frame_costs_only_itself():
    found, discarded = received(b"\x00\x01" + b"x" * 5000 + b"\x00", HELLO)
    assert found == [(DISCARD, "too long"), (FRAME, b"hello")]
    assert discarded == {"too long": 1}


def test_overlong_frame_is_given_up_when_quiet():
    receiver = LinkReceiver()
    receiver.feed(b"\x00\x01" + b"x" * 5000)
    receiver.flush()
    receiver.feed(b"line\n")
    assert drained(receiver) == [(DISCARD, "too long"), (LOG, b"line\n")]


def test_overlong_text_comes_in_pieces_and_closes_the_frame_it_was_taken_for():
    text = b"x" * 5000 + b"\n"
    for opener in (b"", b"\x00"):
        found, discarded = received(opener + text + b"line\n", HELLO)
        assert [len(data) for kind, data in found if kind == LOG] == [MAX_LINE, MAX_LINE, 869, 5]
        assert found[-1] == (FRAME, b"hello") and discarded == {}
