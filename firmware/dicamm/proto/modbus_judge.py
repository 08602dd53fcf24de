"""What to make of bytes that are no regular reply in one piece: strays, echoes, exceptions, other
units' and broken frames, and the reply to a write.

Works on the state of an RtuClient (modbus.py), whose rules it has; and tells for Modbus/TCP how a
frame differs from the reply asked for.
"""

from dicamm.proto.modbus_loops import copy_bytes, crc16

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


MAX_STRAY = const(4)  # foreign bytes borne before a reply
_RX_SIZE = const(288)
_HEADER = const(3)

_NEXT = const(0)  # no reply begins here
_AGAIN = const(-1)  # look again: settled, or an echo was passed

# of modbus_pdu
_PENDING = const(1)
_DONE = const(2)
_FAILED = const(3)
_TIMEOUT = const(1)
_SHORT = const(2)
_CRC = const(3)
_WRONG_UNIT = const(4)
_WRONG_FUNCTION = const(5)
_WRONG_LENGTH = const(6)
_WRONG_CONTENT = const(7)
_EXCEPTION = const(8)

_COUNTED = ("short", "crc", "wrong unit", "wrong function", "wrong length", "wrong content")


def judge(client, last):
    """Decides as far as the bytes allow, else sets `_need`. last: no more bytes will come."""
    need = _RX_SIZE
    while client._start <= client._base + MAX_STRAY:
        wanted = _examine(client, client._start)
        if client.status != _PENDING:
            return
        if wanted > 0 and not last:
            need = client._start + wanted
            break
        if wanted != _AGAIN:
            client._start += 1
    _judge_foreign(client, need, last)


def _judge_foreign(client, need, last):
    """Refuses at once what is a whole frame but not the reply asked for."""
    rx = client._rx
    base = client._base
    have = client._have
    end = base + _reply_length(rx, base, have)
    if have == end > base and not crc16(rx, base, end):
        _fail(client, mismatch(rx, base, client._tx, 0, client._count))
    elif not last and have < end <= _RX_SIZE:
        client._need = min(need, end)
    elif need < _RX_SIZE:
        client._need = need
    else:
        _fail(client, _diagnosis(client, rx, base, have))


def _examine(client, at):
    """What begins at `at`: bytes it needs in all (> 0), _NEXT or _AGAIN."""
    rx = client._rx
    tx = client._tx
    left = client._have - at
    if left < _HEADER:
        return _HEADER
    if rx[at] != tx[0] or rx[at + 1] & 0x7F != tx[1]:
        return _NEXT
    if rx[at + 1] != tx[1]:
        return _settle(client, at, left, 5, _EXCEPTION)
    if client._base:
        return _examine_reply(client, at, left)
    wanted = _NEXT if client._local_echo else _examine_reply(client, at, left)
    sent = client._tx_length
    if wanted == _AGAIN or not same_bytes(rx, at, tx, 0, min(left, sent)):
        return wanted
    if left < sent:
        return min(wanted or sent, sent)
    client.discarded["echo"] += 1
    client.discarded["stray"] += at - client._base
    client._base = client._start = at + sent
    client._flaw = 0
    return _AGAIN


def _examine_reply(client, at, left):
    if client._count:
        if client._rx[at + 2] != 2 * client._count:
            return _NEXT
    elif not same_bytes(client._rx, at, client._tx, 0, min(left, 6)):
        return _NEXT
    return _settle(client, at, left, client._length, 0)


def _settle(client, at, left, length, error):
    """What looks like the reply (error 0) or an exception is it, if the CRC fits."""
    rx = client._rx
    if left < length:
        return length
    if crc16(rx, at, at + length):
        client._flaw = _CRC
        return _NEXT
    if error:
        client.exception_code = rx[at + 2]
        _fail(client, error)
    else:
        client.discarded["stray"] += at - client._base
        copy_bytes(rx, 0, rx, at, length)
        client.payload = client._view
        client.status = _DONE
    return _AGAIN


def _fail(client, error):
    client.error = error
    client.status = _FAILED
    if _SHORT <= error < _EXCEPTION:
        client.discarded[_COUNTED[error - _SHORT]] += 1


def _diagnosis(client, rx, base, have):
    """The error that fits bytes which hold no reply and no whole foreign frame."""
    left = have - base
    if not left:
        return _TIMEOUT
    if left > 4 and not crc16(rx, base, have):
        # a frame whose byte count lies about its length
        return mismatch(rx, base, client._tx, 0, client._count)
    if client._flaw or left < _HEADER:
        return client._flaw or _SHORT
    begun = same_bytes(rx, base, client._tx, 0, 2)
    return _SHORT if left < client._length and (begun or left < 5) else _CRC


def _reply_length(reply, at, have):
    """Bytes of the serial reply that begins at reply[at], of which `have` is the end so far;
    0 where they do not tell."""
    if have - at < _HEADER:
        return 0
    function = reply[at + 1]
    if function & 0x80:
        return 5
    if 1 <= function <= 4 or function == 23:
        return 5 + reply[at + 2]
    return 8 if function in (5, 6, 15, 16) else 0


def same_bytes(one, at, other, first, count):
    """Whether one[at : at + count] equals other[first : first + count]; copies nothing."""
    while count and one[at] == other[first]:
        at += 1
        first += 1
        count -= 1
    return not count


def mismatch(reply, at, request, first, count):
    """The error that tells how the whole reply at reply[at] differs from the one asked for.

    request[first]: where the request's unit stands; count: registers of a read, 0 for a write.
    """
    if reply[at] != request[first]:
        return _WRONG_UNIT
    if reply[at + 1] != request[first + 1]:
        return _WRONG_FUNCTION
    return _WRONG_LENGTH if count else _WRONG_CONTENT
