"""Who may send what on an HDLC line: primary and secondary in normal response mode.

Knows frames (`hdlc`), no bytes and no time: whoever waits tells of a silence by `timeout`.
Window 1, modulo 8; a primary and a secondary share one class of rules, so that both ends of a
test stand under them. Source: ISO/IEC 13239, 5.6 (unbalanced classes UNC, UCC).
"""

from dicamm.proto import hdlc

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


DEFAULT_TRIES = const(3)

# what receive() tells
NOTHING = const(0)  # counted in `discarded`, or an answer without news
CONNECTED = const(1)
DISCONNECTED = const(2)
DATA = const(3)  # `information` holds it; what was sent is taken as well where `waiting` is False
TAKEN = const(4)  # the other side has what was sent

_MODULUS = const(8)


class _Station:
    """Sequence numbers of one connection.

    own, other: addresses (upper, lower). information, segmented: of the last DATA. waiting:
    something sent is not yet taken. discarded: why frames were left alone, reason -> number:
    "address" (for or from somebody else), "sequence" (sent again, or out of turn), "state"
    (no connection), "kind" (not known, or not awaited).
    """

    def __init__(self, own, other):
        self.own = own
        self.other = other
        self.connected = False
        self.information = b""
        self.segmented = False
        self.discarded = {}
        self._sent = self._received = 0
        self._outgoing = None

    @property
    def waiting(self):
        return self._outgoing is not None

    def _reset(self, connected):
        self.connected = connected
        self._sent = self._received = 0
        self._outgoing = None

    def _for_us(self, frame):
        if frame.destination != self.own or frame.source != self.other:
            return self._discard("address")
        return True

    def _accept(self, frame):
        """Takes N(R), then N(S); returns what is new."""
        news = NOTHING
        if self._outgoing is not None and frame.received == (self._sent + 1) % _MODULUS:
            self._sent = frame.received
            self._outgoing = None
            news = TAKEN
        elif frame.received != self._sent:
            self._discard("sequence")
            return NOTHING
        if frame.kind != hdlc.INFORMATION:
            return news
        if frame.sent != self._received:
            self._discard("sequence")  # the other side did not hear that we have it
            return news
        self._received = (self._received + 1) % _MODULUS
        self.information = frame.information
        self.segmented = frame.segmented
        return DATA

    def _frame(self, kind):
        """A frame of that kind with the P/F bit set."""
        if kind in (hdlc.RR, hdlc.RNR, hdlc.REJ):
            kind |= self._received << 5
        return hdlc.HdlcFrame(self.other, self.own, kind | hdlc.FINAL)

    def _turn(self):
        """What may be sent now: the information that waits, else that we are ready."""
        if self._outgoing is None:
            return self._frame(hdlc.RR)
        information, segmented = self._outgoing
        control = self._received << 5 | hdlc.FINAL | self._sent << 1
        return hdlc.HdlcFrame(self.other, self.own, control, information, segmented)

    def _give(self, information, segmented):
        if self._outgoing is not None:
            raise ValueError("the last information is not taken yet")
        if not 0 < len(information) <= hdlc.MAX_INFORMATION:
            raise ValueError("%d bytes of information" % len(information))
        self._outgoing = (bytes(information), segmented)

    def _discard(self, reason):
        self.discarded[reason] = self.discarded.get(reason, 0) + 1
        return False


class HdlcPrimary(_Station):
    """The gateway's side: it begins, and asks again where nothing comes.

    connect(), disconnect(), send(), poll() and timeout() return the frame to send now;
    receive() what an answer says. tries: times that one frame is sent before timeout() gives
    up with None and the connection counts as lost.
    """

    def __init__(self, own, other, tries=DEFAULT_TRIES):
        super().__init__(own, other)
        self._tries = tries
        self._left = 0
        self._last = None

    def connect(self):
        """Begins a connection; both sides count from 0."""
        self._reset(False)
        return self._ask(self._frame(hdlc.SNRM))

    def disconnect(self):
        """Ends it."""
        return self._ask(self._frame(hdlc.DISC))

    def send(self, information, segmented=False):
        """Sends information. Raises ValueError when the last is not taken, or it is too long."""
        self._connected_or_raise()
        self._give(information, segmented)
        return self._ask(self._turn())

    def poll(self):
        """Asks for information; sends again what was not taken."""
        self._connected_or_raise()
        return self._ask(self._turn())

    def timeout(self):
        """No answer came: the same frame once more, or None after the last try."""
        if self._last is None or self._left == 0:
            self._last = None
            self._reset(False)
            return None
        self._left -= 1
        return self._last

    def receive(self, frame):
        """What a frame says; see the list above. Never raises."""
        if not self._for_us(frame):
            return NOTHING
        kind = frame.kind
        awaited = None if self._last is None else self._last.kind
        if kind == hdlc.UA and awaited in (hdlc.SNRM, hdlc.DISC):
            self._last = None
            self._reset(awaited == hdlc.SNRM)
            return CONNECTED if self.connected else DISCONNECTED
        if kind in (hdlc.DM, hdlc.FRMR):
            self._last = None
            self._reset(False)
            return DISCONNECTED
        if kind not in (hdlc.INFORMATION, hdlc.RR, hdlc.RNR, hdlc.REJ):
            self._discard("kind")
            return NOTHING
        if not self.connected:
            self._discard("state")
            return NOTHING
        if frame.final:
            self._last = None
        return self._accept(frame)

    def _connected_or_raise(self):
        if not self.connected:
            raise ValueError("not connected")

    def _ask(self, frame):
        self._last = frame
        self._left = self._tries - 1
        return frame


class HdlcSecondary(_Station):
    """The meter's side: it answers, and only when asked.

    receive() tells what a command says; give() lays information ready; answer() returns the
    frame to send now, None where we were not asked.
    """

    def __init__(self, own, other):
        super().__init__(own, other)
        self._reply = None  # kind of frame owed; INFORMATION: whatever waits

    def give(self, information, segmented=False):
        """Raises ValueError when the last is not taken yet, or it is too long."""
        self._give(information, segmented)

    def receive(self, frame):
        """What a command says; see the list above. Never raises."""
        if not self._for_us(frame):
            return NOTHING
        news, reply = self._take(frame)
        if frame.final:
            self._reply = reply
        return news

    def answer(self):
        """The frame to send now; None: nobody asked."""
        kind = self._reply
        self._reply = None
        if kind is None:
            return None
        return self._turn() if kind == hdlc.INFORMATION else self._frame(kind)

    def _take(self, frame):
        """(news, kind of the reply) for a frame to us."""
        kind = frame.kind
        if kind == hdlc.SNRM or kind == hdlc.DISC:
            was = self.connected
            self._reset(kind == hdlc.SNRM)
            if kind == hdlc.DISC and not was:
                return NOTHING, hdlc.DM
            return CONNECTED if self.connected else DISCONNECTED, hdlc.UA
        if not self.connected:
            self._discard("state")
            return NOTHING, hdlc.DM
        if kind not in (hdlc.INFORMATION, hdlc.RR, hdlc.RNR, hdlc.REJ):
            self._discard("kind")
            return NOTHING, hdlc.FRMR
        return self._accept(frame), hdlc.INFORMATION
