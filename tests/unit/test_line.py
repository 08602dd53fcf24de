"""The serial line: transparent, ordered, never faster than the wire, and it survives its users."""

import os
import random
import select
import subprocess
import sys
import threading
import time

import pytest
import serial

from clsbench.errors import BadInput
from clsbench.meters.line import SerialLine


def open_end(path):
    return os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)


def receive(fd, count, timeout_s=10.0):
    data = b""
    end = time.monotonic() + timeout_s
    while len(data) < count and (left := end - time.monotonic()) > 0:
        if select.select([fd], [], [], left)[0]:
            data += os.read(fd, 4096)
    return data


def comes_true(claim, timeout_s=20.0):
    """Waits for what the line's thread does; whether it has done so in time."""
    end = time.monotonic() + timeout_s
    while not (found := claim()) and time.monotonic() < end:
        time.sleep(0.01)
    return found


def send(fd, data):
    while data:
        select.select([], [fd], [])
        data = data[os.write(fd, data) :]


@pytest.fixture
def fast():
    with SerialLine(paced=False) as line:
        yield line


@pytest.mark.parametrize(("source", "sink"), [("a_path", "b_path"), ("b_path", "a_path")])
def test_every_byte_value_passes_unchanged_and_in_order(fast, source, sink):
    data = bytes(range(256)) + random.Random(7).randbytes(1500) + b"\x03\x04\x1a\r\n\x00" * 20
    near, far = open_end(getattr(fast, source)), open_end(getattr(fast, sink))
    send(near, data)
    assert receive(far, len(data)) == data
    assert receive(near, 1, 0.02) == b""  # no echo
    os.close(near)
    os.close(far)


@pytest.mark.parametrize(("baud", "bits", "count"), [(9600, 10, 500), (19200, 11, 300)])
def test_a_paced_line_is_not_faster_than_the_wire(baud, bits, count):
    data = random.Random(1).randbytes(count)
    with SerialLine(baud, bits) as line:
        near, far = open_end(line.a_path), open_end(line.b_path)
        begin_ns = time.monotonic_ns()
        os.write(near, data)
        got = receive(far, 1)
        first_ns = time.monotonic_ns() - begin_ns
        assert got + receive(far, count - len(got)) == data
        took_ns = time.monotonic_ns() - begin_ns
        os.close(near)
        os.close(far)
    char_ns = bits * 10**9 // baud
    assert first_ns >= char_ns
    assert took_ns >= count * char_ns


def test_tap_never_sees_a_byte_before_its_time():
    seen = []
    with SerialLine(9600, tap=lambda *event: seen.append(event)) as line:
        near, far = open_end(line.a_path), open_end(line.b_path)
        begin_ns = time.monotonic_ns()
        os.write(near, b"0123456789" * 5)
        assert receive(far, 50) == b"0123456789" * 5
        send(far, b"back")
        assert receive(near, 4) == b"back"
        os.close(near)
        os.close(far)
    forth = [(data, t_ns) for direction, data, t_ns in seen if direction == "a->b"]
    arrived = 0
    for data, t_ns in forth:
        arrived += len(data)
        assert t_ns - begin_ns >= arrived * 10 * 10**9 // 9600
    assert arrived == 50 and len(forth) > 5
    assert b"".join(data for direction, data, _ in seen if direction == "b->a") == b"back"


def test_both_directions_run_at_the_same_time():
    with SerialLine(9600) as line:
        near, far = open_end(line.a_path), open_end(line.b_path)
        os.write(near, b"a" * 100)
        os.write(far, b"b" * 100)
        assert receive(near, 100) == b"b" * 100
        assert receive(far, 100) == b"a" * 100
        os.close(near)
        os.close(far)


def test_an_unplugged_line_loses_bytes_and_a_plugged_one_works_again(fast):
    near, far = open_end(fast.a_path), open_end(fast.b_path)
    fast.unplug()
    os.write(near, b"lost")
    assert comes_true(lambda: fast.dropped == {"unplugged": 4})
    assert receive(far, 1, 0.05) == b""
    fast.plug()
    os.write(near, b"kept")
    assert receive(far, 4) == b"kept"
    os.close(near)
    os.close(far)


def test_unplugging_tears_a_frame_that_is_on_the_wire():
    with SerialLine(1200) as line:
        near, far = open_end(line.a_path), open_end(line.b_path)
        frame = bytes(range(250)) * 8  # takes 17 s
        os.write(near, frame)
        begun = receive(far, 3)
        line.unplug()
        begun += receive(far, len(frame), 0.1)
        assert 3 <= len(begun) < len(frame) and frame.startswith(begun)
        assert comes_true(lambda: len(begun) + line.dropped["unplugged"] == len(frame))
        os.close(near)
        os.close(far)


def test_bit_errors_are_repeatable_by_their_seed():
    def through(per_million, seed):
        with SerialLine(paced=False) as line:
            line.inject_bit_errors(per_million, seed)
            near, far = open_end(line.a_path), open_end(line.b_path)
            send(near, bytes(500))
            data = receive(far, 500)
            os.close(near)
            os.close(far)
        return data

    first = through(20_000, 3)
    assert first == through(20_000, 3) != through(20_000, 4)
    assert 30 < sum(byte.bit_count() for byte in first) < 150
    assert through(0, 3) == bytes(500)


def test_a_user_may_close_its_end_and_another_may_open_it(fast):
    far = open_end(fast.b_path)
    for n in range(3):
        with serial.Serial(fast.a_path, 9600, timeout=5, exclusive=True) as near:
            near.write(b"user %d" % n)
            assert receive(far, 6) == b"user %d" % n
            os.write(far, b"reply %d" % n)
            assert near.read(7) == b"reply %d" % n
    os.close(far)


def test_the_line_outlives_a_session_leader_whose_terminal_it_became(fast):
    script = (
        "import os,sys; fd = os.open(sys.argv[1], os.O_RDWR)\n"
        "os.write(fd, b'leader'); assert os.ttyname(fd) == sys.argv[1]\n"
        "assert os.tcgetpgrp(fd) == os.getpid()"
    )
    far = open_end(fast.b_path)
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", script, fast.a_path], start_new_session=True, timeout=30
        )
        assert done.returncode == 0
        assert receive(far, 6) == b"leader"
    near = open_end(fast.a_path)
    os.write(near, b"again\r\n")
    assert receive(far, 7) == b"again\r\n"
    os.write(far, b"and back\r\n")
    assert receive(near, 10) == b"and back\r\n"
    os.close(near)
    os.close(far)


def test_a_reader_that_does_not_read_loses_bytes_and_the_line_goes_on():
    held = []
    with SerialLine(paced=False, tap=lambda *event: held.append(len(event[1]))) as line:
        near, far = open_end(line.a_path), open_end(line.b_path)
        send(near, b"x" * 100_000)
        assert comes_true(lambda: sum(held) + line.dropped.get("overrun", 0) == 100_000)
        assert line.dropped["overrun"] > 0
        line.discard_unread("b")
        assert receive(far, 1, 0.05) == b""
        os.write(near, b"fresh")
        assert receive(far, 5) == b"fresh"
        os.close(near)
        os.close(far)


def test_closing_twice_is_allowed_and_ends_the_thread(fast):
    fast.close()
    fast.close()
    assert "serial-line" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.parametrize("wrong", [{"baud": 0}, {"bits_per_char": 9}])
def test_senseless_lines_are_refused(wrong):
    with pytest.raises(BadInput, match="serial line"):
        SerialLine(**wrong)
