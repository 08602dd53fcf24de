"""Settings that change at run time, and key material: two copies on raw NOR flash.

Knows names and values, not what they are for. A `put` is durable when it returns; after a power
cut inside it either the old or the new values stand, all of them. Values never appear in a text.

Each copy is a sector:

    0     2  "DS"
    2     2  layout: 1
    4     4  version, counts up with each put
    8     4  n
    12    4  CRC-32 of all before and the values
    16    n  the values: a CBOR map (RFC 8949, deterministic) from name to integer, text or bytes

Numbers are little endian. The first page is programmed last. A put writes one copy, then the
other; a start that finds them apart first programs the newer one once more, since a cut at its
end may have left it barely readable, and then writes the other anew.
"""

import binascii
import struct

from dicamm.proto import cbor

LAYOUT = 1
_HEAD = 16
_FORM = "<2sHII"
_MAGIC = b"DS"


class StoreError(Exception):
    """The values do not fit, or the region holds another layout."""


class SettingsStore:
    """region: flash port with SECTOR, PAGE, read, program, erase; uses sectors first, first + 1.

    Reads both copies at once, and mends what a power cut left: up to one erase; two where there is
    no store yet. version: of the values. rewritten: copies that had to be written at the start.
    """

    def __init__(self, region, first=0):
        self._region = region
        self._first = first
        self._values = {}
        self.version = 0
        self.rewritten = 0
        self._mount()

    def get(self, name, default=None):
        """The value of a name."""
        return self._values.get(name, default)

    def names(self):
        """The names that have a value, sorted."""
        return sorted(self._values)

    def put(self, values):
        """Sets all of `values` (a dict) or, after a power cut, none; None takes a name away.

        Costs two erases: to be called where nothing waits for the CPU. Raises StoreError when
        they do not fit, TypeError for a value that is no int, str or bytes; then nothing changed.
        """
        merged = dict(self._values)
        for name in values:
            if values[name] is None:
                merged.pop(name, None)
            else:
                _check(name, values[name])
                merged[name] = values[name]
        data = cbor.encode(merged)
        if len(data) > self._region.SECTOR - _HEAD:
            raise StoreError("settings of %d bytes do not fit" % len(data))
        version = self.version + 1
        image = self._image(version, data)
        older = 1 if self.version & 1 else 0
        self._write(older, image)
        self._values = merged
        self.version = version
        self._write(1 - older, image)

    # -- inside

    def _mount(self):
        images = [self._load(0), self._load(1)]
        versions = [_version(image) for image in images]
        newest = 0 if versions[0] >= versions[1] else 1
        image = images[newest]
        if image is None:
            # not left as it is: what reads as nothing now may read as something another time
            image = self._image(1, cbor.encode({}))
            self._write(0, image)
            self._write(1, image)
            self.version = 1
            self.rewritten = 2
            return
        self.version = versions[newest]
        self._values = cbor.decode(image[_HEAD:])
        if versions[0] != versions[1]:
            self._again(newest, image)
            self._write(1 - newest, image)
            self.rewritten += 1

    def _load(self, copy):
        head = bytearray(_HEAD)
        self._region.read(self._first + copy, 0, head)
        magic, layout, version, size = struct.unpack(_FORM, bytes(head[:12]))
        if magic != _MAGIC or size > self._region.SECTOR - _HEAD:
            return None
        image = bytearray(_HEAD + size)
        self._region.read(self._first + copy, 0, image)
        if _crc(image) != struct.unpack_from("<I", image, 12)[0] or image[:12] != head[:12]:
            return None
        if layout != LAYOUT:
            raise StoreError("settings store has layout %d" % layout)
        return bytes(image)

    def _image(self, version, data):
        image = bytearray(_HEAD + len(data))
        struct.pack_into(_FORM, image, 0, _MAGIC, LAYOUT, version, len(data))
        image[_HEAD:] = data
        struct.pack_into("<I", image, 12, _crc(image))
        return image

    def _write(self, copy, image):
        self._region.erase(self._first + copy)
        self._again(copy, image)

    def _again(self, copy, image):
        size = self._region.PAGE
        page = bytearray(size)
        last = (len(image) - 1) // size * size
        for start in range(last, -1, -size):
            part = image[start : start + size]
            page[:] = b"\xff" * size
            page[: len(part)] = part
            self._region.program(self._first + copy, start, page)


def _check(name, value):
    if not isinstance(name, str):
        raise TypeError("the name of a setting is text")
    if isinstance(value, bool) or not isinstance(value, (int, str, bytes)):
        raise TypeError("setting '%s' is no integer, text or bytes" % name)


def _crc(image):
    view = memoryview(image)
    return binascii.crc32(view[_HEAD:], binascii.crc32(view[:12]))


def _version(image):
    return struct.unpack_from("<I", image, 4)[0] if image else 0
