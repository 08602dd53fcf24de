"""Whatever comes on a meter's line: counted and told, never the end of the reader."""

import asyncio
import os
import ssl
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clsbench.clock import BenchClock
from clsbench.meters.mbus_encode import bcd, long_frame, secondary_address, telegram
from clsbench.meters.mbus_encode import value_information as vif
from clsbench.net.framed_tls import FramedTls
from clsbench.smgw.core.profiles import MeterProfile
from clsbench.smgw.lmn.mbus import BusMeter, MbusReader
from clsbench.smgw.lmn.reader import MeterReader
from clsbench.smgw.lmn.wmbus import RadioMeter, WmbusReader
from dicamm.proto.wmbus_link import frame_a

GAS = "7ELS3312345678"
ADDRESS = bytes.fromhex("9315785634123303")
QUIET: Any = SimpleNamespace(event=lambda *_, **__: None, calibration=lambda *_: None)
CLEAR = b"\x44" + ADDRESS + b"\x7a\x01\x00\x00\x00" + bcd(4711, 4, vif(13, -2))
RADIO = frame_a(bytes((len(CLEAR),)) + CLEAR)
SECONDARY = secondary_address("12345678", "ELS", 51, 4)
WIRED = telegram(SECONDARY, bcd(123_456, 4, vif(30, 3)))


def serve(reader, data):
    """What a reader makes of bytes that end with the line."""

    async def run():
        stream = asyncio.StreamReader()
        stream.feed_data(data)
        stream.feed_eof()
        await reader._serve(stream, None)

    asyncio.run(run())
    return reader


def radio(found):
    meter = RadioMeter(MeterProfile(GAS), None, "any")

    async def none(meter_id):
        return None

    take = (BenchClock(), QUIET, lambda key, reading: found.append(reading))
    return WmbusReader([meter], "x", 9600, *take, none, lambda meter_id, counter: None)


def changed(data, places):
    out = bytearray(data)
    for place, byte in places:
        out[place % len(out)] = byte
    return bytes(out)


PLACES = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), max_size=4)


@settings(max_examples=300, deadline=None)
@given(PLACES, st.binary(max_size=40))
def test_any_radio_telegram_is_a_reading_or_counted(places, noise):
    found = []
    serve(radio(found), changed(RADIO, places) + noise)
    assert all(reading.meter_id == GAS and reading.values for reading in found)


def test_the_telegram_itself_is_a_reading():
    found = []
    serve(radio(found), RADIO + RADIO)
    assert [reading.values[0].raw for reading in found] == [4711, 4711]


class _Wire:
    """A bus on which every request is answered with the same bytes behind an acknowledgement."""

    def __init__(self, answer, stream):
        self._answer, self._stream = answer, stream

    def write(self, data):
        self._stream.feed_data(b"\xe5" if data[0] == 0x68 or data[1] == 0x40 else self._answer)


@settings(max_examples=300, deadline=None)
@given(PLACES)
def test_any_answer_on_a_wired_bus_is_a_reading_or_refused(places):
    found = []
    answer = long_frame(0x08, 5, changed(WIRED, places))
    meter = BusMeter(MeterProfile("6ELS0012345678"), 5)
    take = (BenchClock(), QUIET, lambda key, reading: found.append(reading))

    async def run():
        reader, stream = MbusReader([meter], "x", 38_400, *take, 60.0), asyncio.StreamReader()
        wire: Any = _Wire(answer, stream)
        task = asyncio.create_task(reader._serve(stream, wire))
        for _ in range(60):
            await asyncio.sleep(0)
            if found or reader._untold or reader._told:
                break
        ended = task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return ended

    assert not asyncio.run(run())
    assert all(reading.values for reading in found) and (places or found)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_on_an_sml_line_are_taken(data):
    take = (BenchClock(), QUIET, lambda key, reading: None)
    serve(MeterReader(MeterProfile("*"), "x", 9600, *take), data)


@pytest.mark.parametrize("server", [True, False])
def test_bytes_that_are_no_tls_end_the_session_and_nothing_else(server):
    side = ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT
    context = ssl.SSLContext(side)
    context.check_hostname = False
    for data in (b"\x00" * 50, b"GET / HTTP/1.1\r\n\r\n", os.urandom(200)):
        session = FramedTls(context, server)
        session.shake_hands()
        session.frames()
        try:
            assert session.feed(data) == b"" and not session.established
        except ssl.SSLError:
            assert not session.established
