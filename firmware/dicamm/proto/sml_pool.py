"""Reads SML telegrams of the common form in machine code, into objects made once.

The common form: open, one value list of entries with six-byte names, close, checksums good,
numbers and times as nearly all meters send them. Says None for all others; `sml_message` reads
any. Bytes that were the same in the telegram before are not made into objects again.
"""

import sys
from array import array

from dicamm.proto.sml_entry import (
    BARE,
    LENGTH_NOT_MULTIPLE_OF_4,
    MESSAGE_CRC_KERMIT,
    MESSAGE_CRC_ONE_BYTE,
    SENSOR_TIME_WITHOUT_CHOICE,
    TRANSPORT_CRC_KERMIT,
    VAL_TIME_WITHOUT_CHOICE,
    SmlEntry,
    SmlFrame,
)
from dicamm.proto.sml_loops import read_entries, read_list, skim
from dicamm.proto.sml_quirks import correct, suspects

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


# of sml_state
_FILL = const(6)
_RUN = const(7)
_LIST_END = const(24)
_KERMIT = const(25)
_SHORT = const(26)
_TRANSPORT_KERMIT = const(28)
_KNOWN = const(29)
_ROOM = const(30)
_POOL = const(31)
_ENTRIES = const(32)
_WORD = const(35)
_UNFIT = const(37)
_SUSPECT = const(38)
_HOME_STATE = const(0)
_HOME_FRAME = const(1)
_HOME_PLACES = const(3)
_HOME_SEEN = const(4)
_HOME_RAWS = const(5)
_HOME_POOL = const(6)
_HOME_TOLD = const(7)
_HOME_EVENT = const(8)
_HOME_BARE_TIME = const(10)
_HOME_CUT = const(11)
_HOME_READ_ENTRIES = const(12)
_HOME_ANY_FORM = const(13)
_HOME_NAME = const(15)

_STEP = 8  # pooled at first, and so many more when a meter sends more
_FIRST_ROOM = 128  # bytes of `seen` at first
_SLOT = 4  # numbers in `places` for each entry

# results of read_list
_NO_ENTRIES = 2
_NO_ROOM = 3
_READ = 16  # and what changed:
_NEW_TEXT = 1
_NEW_COUNT = 2
_NEW_FORM = 4
_SUSPECTED = 8

_HAS_QUIRKS = 4  # in the last number of a slot


class SmlPool:
    """One SmlFrame and its entries, filled anew from every telegram of the common form."""

    def __init__(self, home, event):
        self._home = home
        self._state = home[_HOME_STATE]
        self._event = event
        self.frame = SmlFrame(0, 0, "x25")
        self.frame.share(home[_HOME_FRAME], self._state)
        self._suspects = ()
        self._read_fields = self._elements = None
        event.data = home[_HOME_TOLD] = self.frame
        home[_HOME_EVENT] = event
        home[_HOME_CUT] = _cutter(home[_HOME_FRAME])
        home[_HOME_READ_ENTRIES] = read_entries
        home[_HOME_NAME] = bytearray(6)
        home[_HOME_ANY_FORM] = self._read_any
        home[_HOME_BARE_TIME] = (VAL_TIME_WITHOUT_CHOICE,)
        home[_HOME_POOL] = []
        home[_HOME_RAWS] = array("q", [0])
        self._state[_WORD] = 8 if sys.maxsize > 0x7FFFFFFF else 4
        self._grow(_STEP)
        self._make_room(_FIRST_ROOM)

    def progress(self):
        """Passes over what is there of the messages, checking structure and checksums."""
        state = self._state
        skim(state[_FILL] - state[_RUN], 0, 0, self._home)

    def read(self, offset):
        """The event of the frame in the buffer; None where it is not of the common form.

        Few variables: with more, MicroPython lays the frame of a call into the heap.
        """
        if self._state[_UNFIT]:
            return None
        code = read_list(0, 0, 0, self._home)
        if code != _READ and not self._mend(code):
            return None
        event = self._event
        event.offset = self.frame.offset = offset
        return event

    def _mend(self, code):
        """What is left to do where read_list gave `code`; whether the frame is read then.

        Makes room where some is missing, and the objects that are not as before.
        """
        while code in (_NO_ENTRIES, _NO_ROOM):
            if code == _NO_ENTRIES:
                self._grow(self._state[_ENTRIES])
            else:
                self._make_room(2 * self._state[_ROOM])
            code = read_list(0, 0, 0, self._home)
        if code < _READ:
            return False
        told = self.frame
        if code & _NEW_COUNT:
            told.entries = self._home[_HOME_POOL][: self._state[_ENTRIES]]
        if code & (_NEW_TEXT | _NEW_COUNT):
            self._suspects = suspects(told.entries, told.server_id)
            self._state[_SUSPECT] = _SUSPECTED if self._suspects else 0
        if code & _NEW_FORM:
            self._note_form()
        if self._suspects and correct(told.entries, self._suspects):
            self._mark_quirks()
        return True

    def _grow(self, count):
        pool = self._home[_HOME_POOL]
        while len(pool) < count:
            for _ in range(_STEP):
                pool.append(SmlEntry())
        self._state[_POOL] = len(pool)
        self._home[_HOME_PLACES] = array("H", [0xFFFF] * (_SLOT * len(pool)))

    def _make_room(self, size):
        self._home[_HOME_SEEN] = bytearray(size)
        self._state[_ROOM] = size
        self._state[_KNOWN] = 0

    def _read_any(self, index, at):
        """Fills a pooled entry from the fields behind its name, which begin at `at`.

        Returns the place behind it, negative where it held another text before; 0: malformed.
        """
        if self._elements is None or self._read_fields is None:
            from dicamm.proto.sml_elements import Elements
            from dicamm.proto.sml_message import read_fields

            self._read_fields = read_fields
            self._elements = Elements(self._home[_HOME_FRAME], 0, 0)
        entry, elements = self._home[_HOME_POOL][index], self._elements
        elements.pos, elements.end = at, self._state[_LIST_END]
        before = entry.raw_sent
        try:
            self._read_fields(entry, elements)
        except (ValueError, IndexError):  # MalformedError is one
            return 0
        text = isinstance(entry.raw, bytes)
        return -elements.pos if text and entry.raw != before else elements.pos

    def _note_form(self):
        told, state = self.frame, self._state
        told.quirks = ()
        told.crc = "x25"
        if state[_TRANSPORT_KERMIT]:
            told.crc = "kermit"
            told.note(TRANSPORT_CRC_KERMIT)
        if told.length & 3:
            told.note(LENGTH_NOT_MULTIPLE_OF_4)
        if state[_KERMIT]:
            told.note(MESSAGE_CRC_KERMIT)
        if state[_SHORT]:
            told.note(MESSAGE_CRC_ONE_BYTE)
        if told.sensor_time is not None and told.sensor_time[0] == BARE:
            told.note(SENSOR_TIME_WITHOUT_CHOICE)

    def _mark_quirks(self):
        entries, places = self.frame.entries, self._home[_HOME_PLACES]
        for index in range(len(entries)):
            if entries[index].quirks:
                places[_SLOT * index + 3] |= _HAS_QUIRKS


def _cutter(frame):
    return lambda start, end: bytes(frame[start:end])
