"""Base meters that push SML, over a pair of ptys."""

import os
import time
import tty

import pytest

from clsbench.clock import BenchClock
from clsbench.errors import BadInput, EnvironmentProblem
from clsbench.meters.device_id import server_id
from clsbench.meters.lmn_meter import CapturePlayer, LmnMeter, split_capture
from clsbench.meters.sml_encode import telegram
from clsbench.meters.sml_second_reader import frames

METER_ID = "1EMH0098765432"
TELEGRAM = telegram(server_id(METER_ID), [(b"\x01\x00\x01\x08\x00\xff", 5, -1, 30, None)], 1)


@pytest.fixture
def line():
    """(path the meter opens, function that reads until `enough(bytes)`, or for very long)."""
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)

    def read_until(enough):
        data = b""
        deadline = time.monotonic() + 30
        while not enough(data) and time.monotonic() < deadline:
            try:
                data += os.read(master, 65536)
            except BlockingIOError:
                time.sleep(0.005)
        return data

    yield os.ttyname(slave), read_until
    os.close(master)
    os.close(slave)


def a_meter(port, read_values=lambda utc_ms: [("1-0:1.8.0*255", utc_ms, -4, 30)]):
    return LmnMeter(port, BenchClock(), METER_ID, 5, read_values=read_values)


def test_meter_pushes_what_it_reads_and_remembers_it(line):
    port, read_until = line
    meter = a_meter(port)
    meter.start()
    data = read_until(lambda data: len(frames(data)) >= 3)
    meter.stop()
    read = frames(data)
    assert len(read) >= 3
    for frame, sent in zip(read, meter.sent):
        assert frame["server_id"] == server_id(METER_ID).hex()
        entry = frame["entries"][-1]
        assert (entry["raw"], entry["scaler"], entry["unit"]) == (sent.utc_ms, -4, 30)
        assert sent.readings == [("1-0:1.8.0*255", sent.utc_ms, -4, 30)]


def test_silent_meter_sends_nothing_until_it_speaks_again(line):
    port, read_until = line
    meter = a_meter(port)
    meter.silent = True
    meter.start()
    time.sleep(0.05)
    assert not meter.sent
    meter.silent = False
    assert read_until(lambda data: len(frames(data)) >= 1)
    meter.stop()


def test_crc_errors_spoil_every_telegram(line):
    port, read_until = line
    meter = a_meter(port)
    meter.crc_errors = True
    meter.start()
    data = read_until(lambda data: len(data) > 500)
    meter.stop()
    assert len(data) > 500 and frames(data) == []


def test_failure_to_read_values_comes_out_of_stop(line):
    def broken(utc_ms):
        raise BadInput("no such register")

    meter = a_meter(line[0], broken)
    meter.start()
    with pytest.raises(BadInput, match="no such register"):
        meter.stop()


def test_missing_port_is_named():
    with pytest.raises(EnvironmentProblem, match="/dev/no-such-port"):
        a_meter("/dev/no-such-port").start()


def test_player_sends_every_byte_of_the_file_in_a_loop(line, tmp_path):
    port, read_until = line
    capture = b"\x00noise" + TELEGRAM + TELEGRAM[:40] + b"x" + TELEGRAM + TELEGRAM[:60]
    (tmp_path / "capture.bin").write_bytes(capture)
    player = CapturePlayer(port, tmp_path / "capture.bin", 2)
    player.start()
    data = read_until(lambda data: len(data) >= 2 * len(capture))
    player.stop()
    assert data[: 2 * len(capture)] == capture * 2
    assert b"".join(sent.data for sent in player.sent)[: len(capture)] == capture


def test_capture_is_cut_behind_every_good_telegram():
    pieces = split_capture(b"\x00" + TELEGRAM + TELEGRAM + b"rest")
    assert pieces == [b"\x00" + TELEGRAM, TELEGRAM, b"rest"]


def test_capture_that_cannot_be_played_is_named(tmp_path):
    (tmp_path / "empty.bin").touch()
    for name in ("empty.bin", "missing.bin"):
        with pytest.raises(BadInput, match=name):
            CapturePlayer("/dev/null", tmp_path / name)
