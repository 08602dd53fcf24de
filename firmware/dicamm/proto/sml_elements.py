"""Elements of SML: type and length fields, numbers, texts, lists, times (SML 1.05, chapter 6).

Knows one buffer and a place in it. Follows the structure, never searches for bytes; lists are
walked without recursion. What does not fit raises MalformedError.
"""

# kinds of elements, bits 6..4 of the first type and length byte
OCTETS = 0
_BOOLEAN = 4
_SIGNED = 5
_UNSIGNED = 6
LIST = 7

ABSENT = 0x01  # type and length of what is left out: an octet string of no bytes
_BARE = 0  # choice of a time that was sent without one
_LOCAL = 3
_MAX_LENGTH_BYTES = 4


class MalformedError(ValueError):
    """The bytes do not have the structure the place asks for."""


def skip(data, pos, count):
    """The index behind `count` elements of `data` (bytes) from `pos` on, whatever they hold.

    Raises MalformedError or IndexError.
    """
    while count:
        byte = data[pos]
        if byte < 0x70:
            byte &= 15
            if not byte:
                raise MalformedError
            pos += byte
            count -= 1
        elif byte < 0x80:
            pos += 1
            count += (byte & 15) - 1
        else:
            elements = Elements(data, pos, len(data))
            kind = elements.head()
            pos = elements.pos
            if kind == LIST:
                count += elements.size - 1
            else:
                pos += elements.size
                count -= 1
    if pos > len(data):
        raise MalformedError
    return pos


class Elements:
    """Reads element after element of buffer[pos:end]; raises MalformedError."""

    def __init__(self, buffer, pos, end):
        self.buffer = buffer
        self.pos = pos
        self.end = end
        self.size = 0  # of the last head: elements of a list, else bytes of the value

    def head(self):
        """Reads type and length; returns the kind, leaves `pos` on the value."""
        byte = self._byte()
        kind = byte >> 4 & 7
        size = byte & 15
        used = 1
        while byte & 0x80:
            byte = self._byte()
            used += 1
            if byte & 0x70 or used > _MAX_LENGTH_BYTES:
                raise MalformedError
            size = size << 4 | byte & 15
        if kind != LIST:
            size -= used
            if size < 0 or self.pos + size > self.end:
                raise MalformedError
        self.size = size
        return kind

    def skip(self):
        """Passes over one element, whatever it holds."""
        pos = skip(self.buffer, self.pos, 1)
        if pos > self.end:
            raise MalformedError
        self.pos = pos

    def enter(self, count):
        """Steps into a list of exactly `count` elements."""
        if self.head() != LIST or self.size != count:
            raise MalformedError

    def octets(self):
        """An octet string as bytes, or None where it is absent (or empty: the same byte)."""
        if self.head() != OCTETS:
            raise MalformedError
        return self._octets()

    def number(self):
        """An integer of any width up to 8 bytes, or None where it is absent."""
        return self._number(self.head())

    def time(self):
        """SML_Time as SmlEntry.val_time describes it."""
        kind = self.head()
        if kind != LIST:
            number = self._number(kind)
            return None if number is None else (_BARE, number)
        if self.size != 2:
            raise MalformedError
        choice = self._present()
        kind = self.head()
        if kind != LIST:
            number = self._number(kind)
            return None if number is None else (choice, number)
        if self.size != 3:
            raise MalformedError
        return (_LOCAL, (self._present(), self._present(), self._present()))

    def value(self):
        """SML_Value: any kind of element; a list holds a time, else it is passed over as None."""
        kind = self.head()
        if kind == OCTETS:
            return self._octets()
        if kind == _BOOLEAN:
            return self._boolean()
        if kind != LIST:
            return self._number(kind)
        return self._listed()

    def scaler(self):
        """A power of ten that fits a signed byte, or None where it is absent."""
        number = self.number()
        if number is not None and not -128 <= number <= 127:
            raise MalformedError
        return number

    def octets_if_any(self):
        """As `octets`; anything else is passed over as None."""
        return self._if_any(self.octets)

    def time_if_any(self):
        """As `time`; anything else is passed over as None."""
        return self._if_any(self.time)

    def end_of_message(self):
        if self._byte():
            raise MalformedError

    def _if_any(self, read):
        start = self.pos
        try:
            return read()
        except MalformedError:
            self.pos = start
            self.skip()
            return None

    def _listed(self):
        start = self.pos
        count = self.size
        if count == 2:
            kind = self.head()
            if kind == _UNSIGNED and self._number(kind) == 1:
                return self.time()
        self.pos = start
        for _ in range(count):
            self.skip()
        return None

    def _byte(self):
        if self.pos >= self.end:
            raise MalformedError
        byte = self.buffer[self.pos]
        self.pos += 1
        return byte

    def _present(self):
        number = self.number()
        if number is None:
            raise MalformedError
        return number

    def _octets(self):
        start = self.pos
        self.pos += self.size
        return bytes(self.buffer[start : self.pos]) if self.size else None

    def _boolean(self):
        if self.size != 1:
            raise MalformedError
        return self._byte() != 0

    def _number(self, kind):
        size = self.size
        if kind == OCTETS and size == 0:
            return None
        if kind not in (_SIGNED, _UNSIGNED) or not 1 <= size <= 8:
            raise MalformedError
        start = self.pos
        self.pos += size
        number = 0
        for at in range(start, self.pos):
            number = number << 8 | self.buffer[at]
        if kind == _SIGNED and self.buffer[start] & 0x80:
            number -= 1 << 8 * size
        return number
