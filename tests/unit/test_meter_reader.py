"""The bench's reader over a misbehaving meter: what is borne, what is refused, what is told."""

import select
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import serial
from serial.rfc2217 import PortManager

from clsbench.clock import BenchClock
from clsbench.errors import BadInput, PeerRefused, PeerSilent
from clsbench.meters import catalogue
from clsbench.meters.fault_script import parse_faults
from clsbench.meters.load_spec import plant_of
from clsbench.meters.master import Line, Patience, SerialMaster, line_of
from clsbench.meters.meter_reader import MeterReader
from clsbench.meters.player import MeterPlayer
from clsbench.meters.rtu_line import LineSettings, RtuLine
from clsbench.meters.rtu_responder import RtuResponder

MODEL = catalogue.load("eastron_sdm630")
IMPORT = "1-0:1.8.0"


@pytest.fixture
def read():
    """Reads the import register once through a line with these faults; (raw, discarded)."""
    clock = BenchClock()
    plant = plant_of("0", clock.now_ms())
    player = MeterPlayer(MODEL, plant, clock, fixed={IMPORT: "1234.56"})
    opened = []

    def play(faults, tries=1, wanted=(IMPORT,), **settings):
        script = parse_faults(faults)
        wire = LineSettings(**{"paced": False, **settings})
        line = RtuLine(RtuResponder({1: player}), wire, script=script).start()
        master = SerialMaster(line.path, Line(), Patience(80, tries))
        opened.extend((master.close, line.stop))
        found = MeterReader(master, MODEL, 1, wanted, "M").read()
        thrown = {name: count for name, count in master.discarded.items() if count}
        return found.values[0].raw, thrown

    yield play
    for close in opened:
        close()


@pytest.mark.parametrize(
    ("faults", "thrown"),
    [
        ("", {}),
        ("kind=echo", {"echo": 1}),
        ("kind=stray before=00", {"stray": 1}),
        ("kind=stray behind=FF", {"trailing": 1}),
        ("kind=slow ms=40", {}),
    ],
)
def test_what_still_holds_the_reply_yields_the_value(read, faults, thrown):
    value, discarded = read(faults)
    assert value == 123456
    assert set(discarded) <= set(thrown)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("crc", "crc"),
        ("bits", None),  # which reason depends on the bit
        ("silence", "did not answer"),
        ("slow ms=400", "did not answer"),
        ("function", "wrong function"),
        ("unit", "wrong unit"),
        ("length", "wrong length"),
        ("truncated keep=7", "short"),
    ],
)
def test_a_broken_reply_is_refused_and_the_next_try_gives_the_value(read, kind, reason):
    with pytest.raises(PeerSilent) as caught:
        read(f"kind={kind}")
    assert reason is None or reason in str(caught.value)
    assert read(f"kind={kind}", tries=3)[0] == 123456


def test_an_exception_is_told_by_name(read):
    with pytest.raises(PeerRefused, match=r"meter M on .* exception 4, device failure"):
        read("kind=exception code=4", tries=3)


def test_busy_is_asked_again(read):
    assert read("count=2 kind=exception code=6", tries=3)[0] == 123456


def test_the_evidence_stands_in_the_message(read):
    with pytest.raises(PeerSilent) as caught:
        read("kind=truncated keep=5")
    assert "Sent 01 04 00 48 00 02 F1 DD, received 01 04 04 44 9A (5 bytes)." in str(caught.value)


def test_only_a_code_the_meter_has_can_be_asked_for(read):
    with pytest.raises(BadInput, match="meter show eastron_sdm630"):
        read("", wanted=("1-0:99.8.0",))


def test_settings_nobody_states_are_marked_as_assumed():
    line = line_of(catalogue.load("abb_b23"), baud=None, parity="even", stop_bits=None)
    assert (str(line), line.assumed) == ("9600 8E1", ("baud", "stop_bits"))
    assert line_of(catalogue.load("orno_we516")) == Line(9600, "even", 1, ())


TRIES = 100  # what the line takes is the least of some readings: the rest is the machine's


@pytest.mark.wire
@pytest.mark.parametrize("baud", [9600, 38400])
def test_a_paced_line_keeps_the_baud_rate_and_the_silence(read, baud):
    """80 registers: 8 + 165 characters of 10 bits, and 3.5 characters before the reply."""
    clock = BenchClock()
    player = MeterPlayer(MODEL, plant_of("0", clock.now_ms()), clock)
    wire = LineSettings(baud=baud)
    char_s = 10 / baud
    least_s = 173 * char_s + wire.silence_ns / 1e9
    most_s = 1.1 * least_s  # a wrong baud rate is farther off, a slow machine less
    with (
        RtuLine(RtuResponder({1: player}), wire) as line,
        SerialMaster(line.path, Line(baud), Patience(300, 1)) as master,
    ):
        taken = []
        while len(taken) < 4 or (min(taken) > most_s and len(taken) < TRIES):
            time.sleep(0.01)
            begin = time.monotonic()
            assert master.read(1, 4, 0, 80).error == "none"
            taken.append(time.monotonic() - begin)
    assert least_s <= min(taken) <= most_s


def test_a_request_at_another_baud_rate_is_not_understood(read):
    clock = BenchClock()
    player = MeterPlayer(MODEL, plant_of("0", clock.now_ms()), clock)
    wire = LineSettings(baud=19200, check_baud=True)
    with RtuLine(RtuResponder({1: player}), wire) as line:
        for baud, patience_ms, error in ((9600, 80, "timeout"), (19200, 20_000, "none")):
            with SerialMaster(line.path, Line(baud), Patience(patience_ms, 1)) as master:
                assert master.read(1, 4, 0, 2).error == error
        assert line.counts["baud"] == 8


@contextmanager
def network_port(rfc2217):
    """A TCP port on loopback in front of a played meter, raw or with RFC 2217; gives the URL."""
    clock = BenchClock()
    plant = plant_of("0", clock.now_ms())
    player = MeterPlayer(MODEL, plant, clock, fixed={IMPORT: "1234.56"})
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"{'rfc2217' if rfc2217 else 'socket'}://127.0.0.1:{listener.getsockname()[1]}"
    with RtuLine(RtuResponder({1: player}), LineSettings(paced=False)) as line:
        port = _PortWithLines(line.path, 9600, timeout=0)
        relay = threading.Thread(target=_relay, args=(listener, port, rfc2217), daemon=True)
        relay.start()
        try:
            yield url
        finally:
            listener.close()
            relay.join(5)
            port.close()


class _PortWithLines(serial.Serial):
    """A pty has no modem lines; RFC 2217 asks for them."""

    cts = dsr = ri = cd = False

    def _update_rts_state(self):
        pass

    def _update_dtr_state(self):
        pass


class _Connection:
    """What pyserial's PortManager writes its answers to."""

    def __init__(self, sock):
        self.write = sock.sendall


def _relay(listener, port, rfc2217):
    sock, _ = listener.accept()
    manager = PortManager(port, _Connection(sock)) if rfc2217 else None
    with sock:
        while True:
            ready = select.select([sock, port.fileno()], [], [], 5)[0]
            if sock in ready:
                data = sock.recv(512)
                if not data:
                    return
                port.write(b"".join(manager.filter(data)) if manager else data)
            if port.fileno() in ready:
                data = port.read(512)
                sock.sendall(b"".join(manager.escape(data)) if manager else data)


@pytest.mark.parametrize("rfc2217", [False, True])
def test_a_meter_behind_a_network_port_is_read(rfc2217):
    with (
        network_port(rfc2217) as url,
        SerialMaster(url, Line(), Patience(500, 2)) as master,
    ):
        found = MeterReader(master, MODEL, 1, (IMPORT,), "M").read()
        assert [(value.obis, value.raw) for value in found.values] == [(IMPORT + "*255", 123456)]


def test_a_program_that_had_the_pty_as_its_terminal_may_end():
    clock = BenchClock()
    player = MeterPlayer(MODEL, plant_of("0", clock.now_ms()), clock)
    with RtuLine(RtuResponder({1: player}), LineSettings(paced=False)) as line:
        script = f"import os; os.setsid(); os.open({line.path!r}, os.O_RDWR)"
        subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
        with SerialMaster(line.path, Line(), Patience(300, 2)) as master:
            assert master.read(1, 4, 0, 2).error == "none"


def test_a_link_leads_to_the_port_and_goes_with_it(tmp_path):
    clock = BenchClock()
    player = MeterPlayer(MODEL, plant_of("0", clock.now_ms()), clock)
    link = tmp_path / "bus"
    with RtuLine(RtuResponder({1: player}), LineSettings(paced=False), link=link) as line:
        assert link.resolve() == Path(line.path)
    assert not link.is_symlink()
    link.write_text("taken")
    with pytest.raises(BadInput, match="File exists"):
        RtuLine(RtuResponder({1: player}), LineSettings(), link=link)
