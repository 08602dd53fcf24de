"""Pull mode of the wired LMN end to end: SML requests in HDLC frames to a meter that answers."""

import pytest

from clsbench.meters.device_id import server_id
from clsbench.meters.sml_answer import SmlResponder
from clsbench.meters.sml_encode import obis_bytes
from dicamm.proto import hdlc
from dicamm.proto.hdlc import MAX_INFORMATION, HdlcReceiver, encode
from dicamm.proto.hdlc_station import CONNECTED, DATA, HdlcPrimary, HdlcSecondary
from dicamm.proto.sml import FRAME, SmlReceiver
from dicamm.proto.sml_bodies import PARAMETER
from dicamm.proto.sml_request import list_request, parameter_request, request_file

GATEWAY, METER = (1, 1), (3, 1)
SERVER = server_id("1EMH0098765432")
IMPORT = obis_bytes("1-0:1.8.0*255")
MANY = [
    (obis_bytes(f"1-0:{n}.8.{t}*255"), 10**8 + n, -1, 30, 386) for n in (1, 2) for t in range(99)
]


class Line:
    """Both ends of a bus: frames go over as bytes, in pieces; `spoil` may change a frame's."""

    def __init__(self, values, pieces=16, spoil=lambda data: data):
        self.primary = HdlcPrimary(GATEWAY, METER, tries=8)
        self.secondary = HdlcSecondary(METER, GATEWAY)
        self.meter = SmlResponder(SERVER, lambda: values, lambda: 4711)
        self._ears = {GATEWAY: HdlcReceiver(), METER: HdlcReceiver()}
        self._pieces = pieces
        self._spoil = spoil
        self._question = b""
        self._answer = b""

    def exchange(self, frame):
        """Sends a frame to the meter until an answer is heard; what the answer says."""
        while frame is not None:
            for heard in self._over(frame, METER):
                if self.secondary.receive(heard) == DATA:
                    self._ask_meter()
            if not self.secondary.waiting and self._answer:
                part, self._answer = self._answer[:MAX_INFORMATION], self._answer[MAX_INFORMATION:]
                self.secondary.give(part, bool(self._answer))
            reply = self.secondary.answer()
            for heard in self._over(reply, GATEWAY) if reply else ():
                return self.primary.receive(heard)
            frame = self.primary.timeout()
        raise AssertionError("silence")

    def ask(self, question):
        """The whole answer to an SML file."""
        news, answer = self.exchange(self.primary.send(question)), b""
        while True:
            if news == DATA:
                answer += self.primary.information
                if not self.primary.segmented:
                    return answer
            news = self.exchange(self.primary.poll())

    def _ask_meter(self):
        self._question += self.secondary.information
        if not self.secondary.segmented:
            self._answer = b"".join(self.meter.feed(self._question))
            self._question = b""

    def _over(self, frame, end):
        data, ear = self._spoil(encode(frame)), self._ears[end]
        for at in range(0, len(data), self._pieces):
            ear.feed(data[at : at + self._pieces])
        ear.finish()  # the line falls silent behind a frame
        while event := ear.next_event():
            if event.kind == hdlc.FRAME:
                yield event.data


def read(answer):
    receiver = SmlReceiver(0xFFFF)
    receiver.feed(answer)
    event = receiver.next_event()
    assert event.kind == FRAME and receiver.discarded == {}
    return event.data


@pytest.mark.parametrize("pieces", [1, 7, 4096])
def test_parameters_are_asked_for_and_read(pieces):
    line = Line([(IMPORT, 123_456_789, -1, 30, None)], pieces)
    assert line.exchange(line.primary.connect()) == CONNECTED
    for number in range(9):  # past the modulus of the sequence numbers
        question = request_file(
            b"\xaa", SERVER, bytes([number]), [parameter_request(SERVER, [IMPORT])]
        )
        (body,) = read(line.ask(question)).bodies
        assert (body.tag, body.tree.value.raw) == (PARAMETER, 123_456_789)


def test_an_answer_longer_than_a_frame_comes_in_segments():
    line = Line(MANY)
    line.exchange(line.primary.connect())
    answer = line.ask(request_file(b"\xaa", SERVER, b"\x01", [list_request(b"\xaa", SERVER)]))
    assert len(answer) > 2 * MAX_INFORMATION
    assert [(e.obis, e.raw) for e in read(answer).entries] == [(o, raw) for o, raw, *_ in MANY]


def test_spoiled_frames_in_both_directions_cost_time_only():
    sent = []

    def spoil(data):
        sent.append(data)
        kind = len(sent) % 5
        if kind == 1:
            return b""
        return data[:-3] + bytes([data[-3] ^ 4]) + data[-2:] if kind == 3 else data

    line = Line(MANY, spoil=spoil)
    line.exchange(line.primary.connect())
    for number in range(5):
        question = request_file(b"\xaa", SERVER, bytes([number]), [list_request(b"\xaa", SERVER)])
        assert len(read(line.ask(question)).entries) == len(MANY)
    assert line.meter.requests[0x0700] == 5  # none was asked twice
