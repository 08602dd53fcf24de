"""Messages of wireless M-Bus that come in several telegrams (EN 13757-7:2018, AFL fragmentation).

Knows the fields of the authentication layer and the bytes behind it, no ciphers and no radio.
Fragments are numbered from 1; counter and length stand in the first, the code in the last.
"""

MAX_FRAGMENTS = 16  # of one message
MAX_MESSAGE = 2048  # bytes
MAX_BEGUN = 4  # messages whose end is awaited; the oldest is given up for a further one


class Layer:
    """Fields of an authentication layer: control byte, counter, length and code as sent.

    counter, code: None where they are not sent; length: b"" where it is not. message: what they
    speak of, from the transport layer's CI field on.
    """

    def __init__(self, control, counter, length, code, message):
        self.control = control
        self.counter = counter
        self.length = length
        self.code = code
        self.message = message


class Fragments:
    """Puts messages together. discarded: reason -> number of messages given up: "order" (a
    fragment is missing), "too long", "length" (not as long as its first fragment told),
    "given up" (for a later one)."""

    def __init__(self):
        self.discarded = {}
        self._begun = []  # [address, number of the last fragment, layer of the first]

    def take(self, address, number, more, layer):
        """The whole message's Layer with its last fragment, else None.

        address: of the sender; number: of the fragment; more: further ones follow.
        A fragment received twice in a row counts once.
        """
        begun = self._find(address)
        if number == 1:
            if begun is not None:
                self._give_up(begun, "order")
            if len(self._begun) == MAX_BEGUN:
                self._give_up(self._begun[0], "given up")
            layer.message = bytearray(layer.message)
            begun = [bytes(address), 1, layer]
            self._begun.append(begun)
        elif begun is None:
            self._count("order")
            return None
        elif number == begun[1]:
            return None
        elif number != begun[1] + 1:
            self._give_up(begun, "order")
            return None
        else:
            begun[1] = number
            begun[2].message += layer.message
        if number > MAX_FRAGMENTS or len(begun[2].message) > MAX_MESSAGE:
            self._give_up(begun, "too long")
        elif not more:
            return self._whole(begun, layer)
        return None

    def _whole(self, begun, last):
        self._begun.remove(begun)
        layer = begun[2]
        layer.message = bytes(layer.message)
        layer.code = last.code
        if layer.length and int.from_bytes(layer.length, "little") != len(layer.message):
            self._count("length")
            return None
        return layer

    def _find(self, address):
        for begun in self._begun:
            if begun[0] == address:
                return begun
        return None

    def _give_up(self, begun, reason):
        self._begun.remove(begun)
        self._count(reason)

    def _count(self, reason):
        self.discarded[reason] = self.discarded.get(reason, 0) + 1
