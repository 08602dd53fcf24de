"""Master of a wired M-Bus: one request and its answer at a time (EN 13757-2, chapters 5 and 6).

Knows frames and the frame count bit, no port and no time: `silence` is told by whoever waits.
"""

from dicamm.proto.mbus_frame import ACKNOWLEDGE, DISCARD, LONG, MbusReceiver

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


# status of a request
IDLE = const(0)
PENDING = const(1)
DONE = const(2)
FAILED = const(3)

# why a request failed
NO_ANSWER = const(1)
GARBLED = const(2)  # bytes came, but no whole frame: noise, or several slaves at once
OTHER_ADDRESS = const(3)  # a good frame of somebody else
UNEXPECTED = const(4)  # a good frame of a kind that was not asked for
ERROR_NAMES = ("", "no answer", "garbled", "other address", "unexpected")

# addresses
FIRST_ADDRESS = const(1)
LAST_ADDRESS = const(250)
SELECTED = const(253)  # the slave that was selected by its secondary address
ANY = const(254)  # every slave answers: only where there is one
BROADCAST = const(255)  # none answers

SND_NKE = const(0x40)
SND_UD = const(0x43)
REQ_UD1 = const(0x4A)
REQ_UD2 = const(0x4B)
_FCV = const(0x10)
_FCB = const(0x20)

_CI_DATA = const(0x51)
_CI_SELECT = const(0x52)
_CI_RESET = const(0x50)
_WILDCARD = b"\xff\xff\xff\xff\xff\xff\xff\xff"
# a slave may take so long to begin its answer: 330 bit times and 50 ms; within a frame no gap
# is longer than 33 bit times (EN 13757-2, 5.5)
_ANSWER_BITS = const(330)
_ANSWER_US = const(50000)
_GAP_BITS = const(33)


def answer_us(baud):
    """Longest time from the end of a request to the first byte of its answer."""
    return _ANSWER_BITS * 1000000 // baud + _ANSWER_US


def gap_us(baud):
    """Longest silence inside a frame."""
    return _GAP_BITS * 1000000 // baud


class MbusMaster:
    """Builds requests and judges the answers.

    reset(), request(), command(), select() and repeat() return the bytes to send and make the
    status PENDING; feed() and silence() end it with DONE or FAILED (`error`, see ERROR_NAMES).
    `frame` is then the answer (mbus_frame.Event), None: the single character.
    `discarded`: what the receiver threw away. The frame count bit of every address is kept: a
    repeated request has the same bit, the next one the other, so that the slave can tell. An
    answer equal to the one before is that one, come late; reset() makes it new.
    """

    def __init__(self):
        self.status = IDLE
        self.error = 0
        self.frame = None
        self._receiver = MbusReceiver()
        self._bits = bytearray(256)  # frame count bit of each address, as it was sent last
        self._address = 0
        self._kind = 0
        self._bytes = 0
        self._last = b""
        self._alarm = False
        self._before = None  # the answer before, which may come once more, late

    @property
    def discarded(self):
        return self._receiver.discarded

    def reset(self, address):
        """SND_NKE: the slave acknowledges and begins its count anew."""
        self._bits[address] = 0
        self.frame = None
        return self._begin(short_frame(SND_NKE, address), address, ACKNOWLEDGE)

    def request(self, address, alarm=False):
        """REQ_UD2: data, the next telegram each time; with `alarm` REQ_UD1."""
        self._alarm = alarm
        control = (REQ_UD1 if alarm else REQ_UD2) | self._count(address)
        return self._begin(short_frame(control, address), address, LONG)

    def command(self, address, data):
        """SND_UD: `data` from the CI field on. Raises ValueError where it is too long."""
        control = SND_UD | self._count(address)
        return self._begin(long_frame(control, address, data), address, ACKNOWLEDGE)

    def select(self, secondary=_WILDCARD):
        """Selects slaves by `secondary`: identification (4 bytes, BCD, least significant first;
        digit Fh: any), manufacturer (2), version, medium (FFh: any). They acknowledge, and
        listen to address SELECTED from then on."""
        if len(secondary) != 8:
            raise ValueError("secondary address of %d bytes" % len(secondary))
        self._bits[SELECTED] = 0
        frame = long_frame(SND_UD | _FCV, SELECTED, bytes((_CI_SELECT,)) + bytes(secondary))
        return self._begin(frame, SELECTED, ACKNOWLEDGE)

    def set_address(self, address, new):
        """Gives the slave at `address` (or the one selected) the primary address `new`."""
        if not FIRST_ADDRESS <= new <= LAST_ADDRESS:
            raise ValueError("address %d" % new)
        return self.command(address, bytes((_CI_DATA, 0x01, 0x7A, new)))

    def reset_application(self, address):
        """Application reset: the slave answers with its first telegram again."""
        return self.command(address, bytes((_CI_RESET,)))

    def repeat(self):
        """The last request once more, because its answer was not understood."""
        self.frame = self._before
        return self._begin(self._last, self._address, self._kind)

    def feed(self, data):
        """Takes received bytes; returns the status."""
        self._bytes += len(data)
        self._receiver.feed(data)
        self._judge()
        return self.status

    def silence(self):
        """The line was silent for as long as an answer may take; returns the status."""
        self._receiver.finish()
        self._judge()
        if self.status == PENDING:
            self._end(FAILED, self.error or (GARBLED if self._bytes else NO_ANSWER))
        return self.status

    def _count(self, address):
        """FCV and the frame count bit for the next request to `address`."""
        self._bits[address] ^= _FCB
        return _FCV | self._bits[address]

    def _begin(self, frame, address, kind):
        self._receiver.finish()
        while self._receiver.next_event() is not None:
            pass  # came after the last request was over
        self._last = frame
        self._address = address
        self._kind = kind
        self._bytes = 0
        self.error = 0
        self._before = self.frame
        self.frame = None
        self.status = PENDING
        return frame

    def _judge(self):
        while self.status == PENDING:
            event = self._receiver.next_event()
            if event is None:
                return
            if event.kind != DISCARD:
                self._take(event)

    def _take(self, frame):
        if frame.kind == ACKNOWLEDGE and self._kind == ACKNOWLEDGE:
            self._end(DONE, 0)
        elif frame.kind == LONG and self._kind == LONG and not frame.control & 0x40:
            if self._address < SELECTED and frame.address != self._address:
                self.error = OTHER_ADDRESS
            elif self._before is not None and frame.data == self._before.data:
                self.error = UNEXPECTED  # to the request before, sent again because it was late
            else:
                self.frame = frame
                self._end(DONE, 0)
        elif frame.kind == ACKNOWLEDGE and self._kind == LONG and self._alarm:
            self._end(DONE, 0)  # no alarm
        elif frame.control is None or not frame.control & 0x40:
            self.error = UNEXPECTED  # else the echo of our own request

    def _end(self, status, error):
        self.status = status
        self.error = error


def short_frame(control, address):
    """The bytes of a short frame."""
    return bytes((0x10, control, address, control + address & 0xFF, 0x16))


def long_frame(control, address, data):
    """The bytes of a long frame; data: CI field and user data. Raises ValueError when too long."""
    size = len(data) + 2
    if not 3 <= size <= 255:
        raise ValueError("%d bytes of user data" % len(data))
    head = bytes((0x68, size, size, 0x68, control, address))
    checksum = control + address + sum(data) & 0xFF
    return head + bytes(data) + bytes((checksum, 0x16))
