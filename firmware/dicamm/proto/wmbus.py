"""Wireless M-Bus telegrams: the layers between link and records (EN 13757-4, -7, OMS volume 2).

Knows a telegram's extended link layer (ELL), authentication layer (AFL) and transport layer
(TPL), takes the encryption off with the key the caller hands in, and gives the records. Counters
must rise: those that came last are remembered by the caller or in `wmbus_counters`.
"""

from dicamm.proto import mbus, wmbus_compact, wmbus_security
from dicamm.proto.wmbus_fragments import Layer
from dicamm.proto.wmbus_link import crc16

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


# why a telegram is no reading; besides, the reasons of mbus.MbusTelegram and MbusRecords.error
NO_KEY = "key"  # encrypted, and no key was given
WRONG_KEY = "decryption"  # no sense comes out
WRONG_CODE = "mac"  # the message authentication code is another
OLD_COUNTER = "counter"  # not above the last one: sent again by somebody
MODE = "mode"  # a security mode that is not known here: see `mode`
LAYER = "layer"  # a layer ends before it should
CHECKSUM = "payload crc"
FRAGMENT = "fragment"  # part of a message in several telegrams that is not whole yet
CLEAR = "not encrypted"  # although a key was given

_AFL = const(0x90)
# ELL by CI field: (second address sent, session and checksum sent)
_ELL = {0x8C: (False, False), 0x8D: (False, True), 0x8E: (True, False), 0x8F: (True, True)}
_CTR = const(1)
_FILLED = b"\x2f\x2f"  # what decrypted data begins with


class WmbusTelegram:
    """One telegram, opened as far as the key allows.

    link: WmbusLink. aes, key: cipher and 16 bytes, or None. last_counter: highest message
    counter of this meter so far, None: none yet. accept_clear: take data that is in the clear
    although the header says encrypted (a receiver may have taken it off), and with a key
    given also what was never encrypted; else both are refused. formats: compact formats
    (wmbus_compact.CompactFormats), None: those that are known anyway. counters
    (wmbus_counters.Counters) instead of last_counter; fragments (wmbus_fragments.Fragments)
    puts messages in several telegrams together, the last of which then is the reading; without
    it they are refused.

    error: why it is no reading, else None. telegram: mbus.MbusTelegram with header and
    records; None where no header was reached. address: manufacturer, identification, version
    and medium of the meter as sent (8 bytes), from the TPL where it has them. mode: security
    mode, 0 none. counter: message counter, None where there is none. authentic: its code was
    checked. quirks: names of what is not as the standard has it.
    """

    def __init__(
        self,
        link,
        aes=None,
        key=None,
        last_counter=None,
        accept_clear=False,
        formats=None,
        counters=None,
        fragments=None,
    ):
        self.link = link
        self.error = None
        self.telegram = None
        self.address = link.address
        self.access = None
        self.mode = 0
        self.counter = None
        self.authentic = False
        self.quirks = []
        self._aes = aes if key is not None else None
        self._key = key
        self._last_counter = last_counter
        self._accept_clear = accept_clear
        self._formats = formats
        self._counters = counters
        self._fragments = fragments
        self._encrypted = False
        self._padded = False
        self._layer = None
        self.error = self._open(link.payload)

    def records(self):
        """A cursor over the records (mbus_records.MbusRecords), or None with an error."""
        if self.error or self.telegram is None or self.telegram.kind != mbus.RECORDS:
            return None
        records = self.telegram.records()
        records.padded = self._padded
        return records

    def _open(self, data):
        """Takes layer after layer off; the reason why it cannot, or None."""
        if len(data) and data[0] in _ELL:
            data, reason = self._ell(data)
            if reason:
                return reason
        if len(data) and data[0] == _AFL:
            data, reason = self._afl(data)
            if reason:
                return reason
        if len(data) and data[0] in wmbus_compact.CI_FIELDS:
            data = (self._formats or wmbus_compact.CompactFormats()).expand(data)
            if data is None:
                return wmbus_compact.UNKNOWN_FORMAT
            self.quirks.append("compact_frame")
        return self._tpl(data)

    def _ell(self, data):
        addressed, session = _ELL[data[0]]
        at = 11 if addressed else 3
        if len(data) < at + (6 if session else 0) + 1:
            return data, LAYER
        control, self.access = data[1], data[2]
        if addressed:
            self.address = bytes(data[3:11])
        if not session:
            return data[at:], None
        number = bytes(data[at : at + 4])
        return self._session(control, number, data[at + 4 :])

    def _session(self, control, number, data):
        """The data behind the session number: two bytes of checksum first."""
        encrypted = number[3] >> 5 == _CTR
        if encrypted and not _checked(data):
            if self._aes is None:
                return data, NO_KEY
            data = wmbus_security.decrypt_link(
                self._aes, self._key, self.address, control, number, data
            )
            self._encrypted = True
            return (data[2:], None) if _checked(data) else (data, WRONG_KEY)
        if not _checked(data):
            return data, CHECKSUM
        return data[2:], self._already_clear() if encrypted else None

    def _already_clear(self):
        if self._aes is not None and not self._accept_clear:
            return CLEAR
        self.quirks.append("already_decrypted")
        return None

    def _afl(self, data):
        if len(data) < 4 or len(data) < 2 + data[1]:
            return data, LAYER
        end = 2 + data[1]
        fields = data[3]
        control, counter, length, code = 0, None, b"", None
        at = 4
        if fields & 0x20:
            control = data[at] if at < end else 0
            at += 1
        if fields & 0x02:
            at += 2  # key information
        if fields & 0x08:
            counter = bytes(data[at : at + 4])
            at += 4
        if fields & 0x04:
            size = max(0, end - at - (2 if fields & 0x10 else 0))
            code = bytes(data[at : at + size])
            at += size
        if fields & 0x10:
            length = bytes(data[at : at + 2])
            at += 2
        if at != end:
            return data, LAYER
        layer = Layer(control, counter, length, code, data[end:])
        if data[2] or fields & 0x40:
            if self._fragments is None:
                return data, FRAGMENT
            layer = self._fragments.take(self.address, data[2], fields & 0x40, layer)
            if layer is None:
                return data, FRAGMENT
        self._layer = layer
        if layer.counter is not None:
            self.counter = int.from_bytes(layer.counter, "little")
        return layer.message, None

    def _tpl(self, data):
        telegram = mbus.MbusTelegram(data)
        if telegram.error:
            return telegram.error
        self.telegram = telegram
        if telegram.identification is not None:
            self.address = bytes(data[5:7]) + bytes(data[1:5]) + bytes(data[7:9])
        if telegram.access is not None:
            self.access = telegram.access
        config = telegram.signature or 0
        self.mode = config >> 8 & 31
        if self.mode == 0:
            return self._plain()
        if self.mode not in (5, 7):
            return MODE
        if self.mode == 7:
            if len(data) == telegram.body:
                return LAYER
            telegram.body += 1  # the extension of the configuration: which key, how derived
        size = 16 * (config >> 4 & 15)
        reason = self._unlock(telegram, size)
        if reason is None:
            self._padded = size > 0
        return reason

    def _plain(self):
        if self._aes is not None and not (self._encrypted or self._accept_clear):
            return CLEAR
        return None

    def _unlock(self, telegram, size):
        data = telegram.data
        body = telegram.body
        if body + size > len(data):
            return LAYER
        if not size:
            return self._plain()
        filled = data[body : body + 2] == _FILLED
        if self._aes is None:
            return self._already_clear() if filled else NO_KEY
        reason, clear = self._decrypt(data, body, data[body : body + size])
        if reason is None:
            telegram.data = data[:body] + clear + data[body + size :]
        elif filled and reason != OLD_COUNTER:
            return self._already_clear()
        return reason

    def _decrypt(self, data, body, sealed):
        """(reason or None, plain data)."""
        if self.mode == 7:
            reason = self._authenticate(data, data[body - 1])
            if reason:
                return reason, None
            clear = wmbus_security.decrypt_mode_7(
                self._aes, self._key, self._layer.counter, self.address[2:6], sealed
            )
        else:
            clear = wmbus_security.decrypt_mode_5(
                self._aes, self._key, self.address, self.access, sealed
            )
        return (None if clear[:2] == _FILLED else WRONG_KEY), clear

    def _authenticate(self, message, extension):
        layer = self._layer
        if layer is None or layer.counter is None or layer.code is None:
            return LAYER
        if extension >> 4 & 3 != 1:
            return MODE  # another way to derive keys
        identification = self.address[2:6]
        if not wmbus_security.mac_good(self._aes, self._key, layer, identification, message):
            return WRONG_CODE
        self.authentic = True
        last = self._last_counter
        if self._counters is not None:
            last = self._counters.last(self.address)
        if last is not None and self.counter <= last:
            return OLD_COUNTER
        if self._counters is not None:
            self._counters.keep(self.address, self.counter)
        return None


def _checked(data):
    """Whether the first two bytes are the checksum of the rest, low byte first."""
    if len(data) < 3:
        return False
    return crc16(data, 2, len(data)) == data[0] | data[1] << 8
