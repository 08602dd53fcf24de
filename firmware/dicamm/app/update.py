"""Takes a new version over the bench link into the slot that does not run.

Loaded with the first message of an update. Knows the form of a manifest (docs/update.md) and the
file system; which slot runs is the business of `slots`. Nothing that runs is touched before the
manifest's authentication code, every file's hash and the number of the version have been seen.
"""

import asyncio
import gc
import os
from hashlib import sha256

import slots
from dicamm import codes
from dicamm.drivers import watchdog
from dicamm.metering.record import UPDATE
from dicamm.proto.cose import HmacSha256, same

MANIFEST = "/update.manifest"
MAX_MANIFEST = 16384
MAX_FILE = 65536
MAX_FILES = 200

# operations (key 2)
BEGIN = 0
MANIFEST_BYTES = 1
CHECK = 2
FILE_BYTES = 3
FINISH = 4
STATE = 5

_FIRST = "clsbench update 1"
_MAC_LINE = 4 + 64 + 1
_BLOCK = 512
_CHARS = "abcdefghijklmnopqrstuvwxyz0123456789_./"
_BOARD_FILE = "board.mpy"
_PACKAGE = "lib/dicamm/"
_RESTART_MS = 300


class Refused(Exception):
    """code, text: of the answer."""


class Update:
    """device: app.device.Device; key: of the manifests (32 bytes)."""

    def __init__(self, device, key):
        self._device = device
        self._key = key
        self._state = slots.load()
        self._target = slots.FOLDERS[1 - slots.running(self._state)]
        self._version = 0  # of a manifest that was checked
        self._file = None  # open: (index, path, size, hash)
        self._entry = None
        self._written = 0

    async def serve(self, message):
        """The reply (keys 2 to 4) to a message of kind UPDATE."""
        try:
            value = await self._do(message.get(2), message)
        except Refused as refusal:
            return {2: refusal.args[0], 3: None, 4: refusal.args[1]}
        except OSError as error:
            return {2: codes.STORAGE_FAILED, 3: None, 4: "file system: " + str(error)}
        return {2: 0, 3: value, 4: ""}

    async def _do(self, what, message):
        at, data = message.get(3), message.get(5)
        if what == STATE:
            return self._tell()
        if self._state.trial:
            if what == FINISH and self._state.trial == self._version:
                return None  # a repeat
            raise Refused(codes.UPDATE_REFUSED, "a version is on trial")
        if what == BEGIN:
            return self._begin()
        if what == MANIFEST_BYTES and _is_count(at) and isinstance(data, bytes):
            return await self._append(MANIFEST, at, data, MAX_MANIFEST)
        if what == CHECK:
            return await self._check()
        if what == FILE_BYTES and self._version and _is_count(at) and isinstance(data, bytes):
            return await self._take(message.get(4), at, data)
        if what == FINISH and self._version:
            return await self._finish()
        raise Refused(codes.BAD_MESSAGE, "no such step, or not now")

    def _tell(self):
        state = self._state = slots.load()
        return [state.good, state.version, state.trial, state.starts, state.failed, state.why]

    # -- the manifest

    def _begin(self):
        self._close()
        self._version = 0
        with open(MANIFEST, "wb"):
            pass

    async def _append(self, path, at, data, limit):
        size = os.stat(path)[6]
        if at + len(data) == size:
            return  # a repeat
        if at != size or at + len(data) > limit:
            raise Refused(codes.BAD_MESSAGE, "bytes from %d, there are %d" % (at, size))
        await self._quiet()
        _append(path, data)

    async def _check(self):
        """Numbers of the files that are to be sent; the others are here already."""
        self._close()
        self._authenticate()
        version = self._read_head()
        if version <= self._state.version:
            older = "version %d is not newer than %d" % (version, self._state.version)
            raise Refused(codes.UPDATE_REFUSED, older)
        for _ in self._entries():  # every line is looked at before the first is used
            pass
        self._folders()
        wanted = []
        for entry in self._entries():
            if not await self._have(entry):
                wanted.append(entry[0])
            await self._breathe()
        self._version = version
        if self._state.failed == version:  # tried once more
            self._state.failed = 0
            slots.save(self._state)
        return wanted

    def _authenticate(self):
        size = os.stat(MANIFEST)[6]
        mac = HmacSha256(self._key)
        inner = mac.begin()
        left = size - _MAC_LINE
        if left < 0:
            raise Refused(codes.UPDATE_REFUSED, "manifest cut off")
        with open(MANIFEST, "rb") as file:
            while left:
                part = file.read(min(_BLOCK, left))
                inner.update(part)
                left -= len(part)
            line = file.read()
        if not same(line, b"mac " + _hex(mac.end(inner)).encode() + b"\n"):
            raise Refused(codes.UPDATE_REFUSED, "manifest is not authentic")

    def _read_head(self):
        with open(MANIFEST) as file:
            first, board, version = (file.readline().strip() for _ in range(3))
        if first != _FIRST or not version.startswith("version "):
            raise Refused(codes.UPDATE_REFUSED, "manifest of another form")
        if board != "board " + self._device.board:
            raise Refused(codes.UPDATE_REFUSED, "for another board: " + board)
        return _number(version[8:], 1 << 60)

    def _entries(self):
        """(index, path, size, hash) of each file."""
        index = 0
        with open(MANIFEST) as file:
            for _ in range(3):
                file.readline()
            while True:
                words = file.readline().split()
                if words and words[0] == "mac":
                    return
                if len(words) != 4 or words[0] != "file" or index >= MAX_FILES:
                    raise Refused(codes.UPDATE_REFUSED, "manifest line %d" % (index + 4))
                yield index, _path(words[3]), _number(words[2], MAX_FILE), words[1]
                index += 1

    # -- files

    async def _have(self, entry):
        """Whether the file is in its place; one of the running version is copied there."""
        _, path, size, wanted = entry
        if _hash(self._target + "/" + path) == wanted:
            return True
        other = slots.FOLDERS[slots.running(self._state)] + "/" + path
        if _hash(other) != wanted:
            return False
        await self._quiet()
        _copy(other, self._target + "/" + path)
        return True

    async def _take(self, index, at, data):
        entry = self._entry
        if entry is None or entry[0] != index:
            self._close()
            entry = self._open(index)
        size = entry[2]
        if at + len(data) == self._written:
            return  # a repeat
        if at != self._written or at + len(data) > size:
            raise Refused(codes.BAD_MESSAGE, "bytes from %d, there are %d" % (at, self._written))
        await self._quiet()
        self._file.write(data)
        self._written += len(data)
        if self._written == size:
            self._file.close()
            self._file = None
            if _hash(self._target + "/" + entry[1]) != entry[3]:
                self._entry = None  # from its start again
                raise Refused(codes.UPDATE_REFUSED, "file %d has another hash" % index)

    def _open(self, index):
        for entry in self._entries():
            if entry[0] == index:
                self._entry = entry
                self._written = 0
                self._file = open(self._target + "/" + entry[1], "wb")  # noqa: SIM115 - kept open
                return entry
        raise Refused(codes.BAD_MESSAGE, "no file with this number")

    def _close(self):
        if self._file is not None:
            self._file.close()
        self._file = self._entry = None

    def _folders(self):
        if self._target:
            _make(self._target)
        made = None
        for entry in self._entries():
            *names, _ = entry[1].split("/")
            if names == made:  # lines are sorted by path
                continue
            made, folder = names, self._target
            for name in names:
                folder += "/" + name
                _make(folder)

    async def _finish(self):
        self._close()
        device = self._device
        if device.controller.open_uuid is not None or device.interlock.is_closed():
            raise Refused(codes.OTHER_OPEN, "a transaction is open")
        paths = set()
        for index, path, _, wanted in self._entries():
            paths.add(path)
            if _hash(self._target + "/" + path) != wanted:
                raise Refused(codes.UPDATE_REFUSED, "file %d is missing or damaged" % index)
            await self._breathe()
        self._sweep(self._target, _PACKAGE[:-1], paths)
        answer = await device.controller.event(UPDATE, "staged %d" % self._version)
        if answer.code:
            raise Refused(answer.code, "no record could be made")
        state = self._state
        state.trial, state.starts, state.failed = self._version, 0, 0
        slots.save(state)
        os.remove(MANIFEST)
        asyncio.create_task(self._restart())

    def _sweep(self, home, folder, keep):
        """Files of an older version go."""
        found = os.ilistdir(home + "/" + folder)  # pyright: ignore - MicroPython has it
        for item in list(found):
            path = folder + "/" + item[0]
            if item[1] & 0x4000:
                self._sweep(home, path, keep)
            elif path not in keep:
                os.remove(home + "/" + path)

    async def _restart(self):
        self._device.interlock.lock("restart")
        await asyncio.sleep_ms(_RESTART_MS)  # the answer leaves first
        self._device.journal.flush()
        watchdog.reset()

    async def _breathe(self):
        """Between two files: a step may take longer than a task may be silent."""
        self._device.link.alive()
        await asyncio.sleep_ms(0)

    async def _quiet(self):
        """Until the bus has nothing under way: an erase of the file system stops the CPU. A meter
        that does not answer owes a reply all the time: then there is none to lose."""
        bus = self._device.bus
        bus.hold = True
        try:
            for _ in range(500):
                if bus.idle or not self._device.meter.healthy:
                    return
                await asyncio.sleep_ms(2)
        finally:
            bus.hold = False
            gc.collect()


def _append(path, data):
    with open(path, "ab") as file:
        file.write(data)


def _copy(path, to):
    with open(path, "rb") as source, open(to, "wb") as file:
        while True:
            part = source.read(_BLOCK)
            if not part:
                return
            file.write(part)


def _make(folder):
    try:
        os.mkdir(folder)
    except OSError:
        os.stat(folder)  # there is one, or this raises


def _hash(path):
    digest = sha256()
    try:
        with open(path, "rb") as file:
            while True:
                part = file.read(_BLOCK)
                if not part:
                    return _hex(digest.digest())
                digest.update(part)
    except OSError:
        return None


def _hex(data):
    return "".join("%02x" % byte for byte in data)


def _path(text):
    """A path of the application and of nothing else."""
    bad = ".." in text or "//" in text or not text.endswith(".mpy")
    if bad or not (text == _BOARD_FILE or text.startswith(_PACKAGE)):
        raise Refused(codes.UPDATE_REFUSED, "path not allowed: " + text[:40])
    for char in text:
        if char not in _CHARS:
            raise Refused(codes.UPDATE_REFUSED, "path not allowed: " + text[:40])
    return text


def _number(text, limit):
    if not text.isdigit() or len(text) > 18 or int(text) > limit:
        raise Refused(codes.UPDATE_REFUSED, "number: " + text[:20])
    return int(text)


def _is_count(value):
    return type(value) is int and value >= 0
