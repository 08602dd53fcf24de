"""Makes files on a board equal to a list: copies what differs, takes away what is left over.

Each file travels under another name and takes its own when it has arrived whole, read back and
compared by SHA-256. main.py goes first and comes last, so that a board whose copying was cut off
starts to its REPL and not into half a firmware; the same copying again mends it.
The content of a file never stands in an error: keys travel this way too.
"""

import base64
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from clsbench.device.repl import RawRepl
from clsbench.errors import BadInput, PeerRefused

OWN_FOLDER = "lib/dicamm/"  # files here that are not in the list are taken off the board
START = "main.py"
SLOTS = "slots"  # says which application slot is in force (firmware/slots.py)
ARRIVING = ".new"
CHUNK = 1536  # bytes of a file in one piece of code, 2048 as base64

DeviceFile = tuple[str, bytes]
Progress = Callable[[int, int, str], None]  # bytes done, bytes in all, path

# runs on the board, once in each session
_TOOLS = """
import os, hashlib, binascii
def _h(p):
    h = hashlib.sha256()
    b = bytearray(512)
    with open(p, "rb") as f:
        while True:
            n = f.readinto(b)
            if not n:
                break
            h.update(memoryview(b)[:n])
    return binascii.hexlify(h.digest()).decode()
def _l(d, deep):
    try:
        e = list(os.ilistdir("/" + d))
    except OSError:
        return
    for x in e:
        p = d + "/" + x[0] if d else x[0]
        if x[1] & 0x8000:
            print("sha256", _h("/" + p), p)
        elif deep:
            _l(p, True)
def _o(p):
    global _f
    d = ""
    for x in p.split("/")[:-1]:
        d += "/" + x
        try:
            os.mkdir(d)
        except OSError:
            pass
    _f = open("/" + p + "{arriving}", "wb")
def _w(s):
    _f.write(binascii.a2b_base64(s))
def _c(p):
    _f.close()
    print("sha256", _h("/" + p + "{arriving}"), p)
def _m(p):
    os.rename("/" + p + "{arriving}", "/" + p)
def _r(p):
    try:
        os.remove("/" + p)
    except OSError:
        pass
""".replace("{arriving}", ARRIVING)


@dataclass
class FlashReport:
    """What a copying did: file counts and seconds. names: of what was written and removed."""

    written: int
    unchanged: int
    removed: int
    seconds: float
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """changed: files to be copied, in this order; stale: paths to be removed."""

    changed: list[DeviceFile]
    stale: list[str]
    unchanged: int

    @property
    def size(self) -> int:
        """Bytes that will travel."""
        return sum(len(content) for _, content in self.changed)


def present(repl: RawRepl, files: Sequence[DeviceFile]) -> dict[str, str]:
    """Path -> SHA-256 of what is on the board: files in its root, and in folders of the list."""
    folders = sorted({path.split("/")[0] for path, _ in files if "/" in path})
    code = _TOOLS + "".join(f"_l({folder!r}, True)\n" for folder in folders) + '_l("", False)\n'
    return _hashes(repl.run(code, timeout_s=60.0))


def plan(files: Sequence[DeviceFile], there: dict[str, str]) -> Plan:
    """What has to be done where `there` is on the board. Raises BadInput for a path that is not
    relative."""
    for path, _ in files:
        if path.startswith("/") or ".." in path.split("/"):
            raise BadInput(f"path on the device '{path}': must be relative to its root")
    wanted = dict(files)
    stale = {path + ARRIVING for path in wanted} & there.keys()
    if any(path.startswith(OWN_FOLDER) for path in wanted):  # else the list brings no firmware
        stale |= {path for path in there.keys() - wanted if path.startswith(OWN_FOLDER)}
        stale |= {SLOTS} & there.keys()  # what the cable brings is in force
    differs = {path for path, content in files if there.get(path) != _hash(content)}
    if (differs or stale) and START in wanted:
        differs.add(START)  # it is taken away first
    changed = sorted((each for each in files if each[0] in differs), key=_order)
    return Plan(changed, sorted(stale), len(files) - len(changed))


def _order(file: DeviceFile) -> tuple[bool, str]:
    return file[0] == START, file[0]


def copy(repl: RawRepl, what: Plan, there: dict[str, str], progress: Progress) -> FlashReport:
    """Carries a plan out, after `present` in the same session."""
    begin = time.monotonic()
    changed = list(what.changed)
    if START in there and any(path == START for path, _ in changed):
        repl.run(f"_r({START!r})")
    if what.stale:
        repl.run(f"for p in {what.stale!r}:\n    _r(p)")
    done = 0
    for path, content in changed:
        done = _copy_one(repl, path, content, done, what.size, progress)
    names = (*(path for path, _ in changed), *what.stale)
    stale = [path for path in what.stale if not path.endswith(ARRIVING)]
    seconds = time.monotonic() - begin
    return FlashReport(len(changed), what.unchanged, len(stale), seconds, names)


def _copy_one(
    repl: RawRepl, path: str, content: bytes, done: int, total: int, progress: Progress
) -> int:
    pieces = [content[at : at + CHUNK] for at in range(0, len(content), CHUNK)]
    code = f"_o({path!r})\n"
    try:
        for piece in pieces:
            progress(done, total, path)
            repl.run(code + f"_w({base64.b64encode(piece).decode()!r})\n")
            code = ""
            done += len(piece)
        answer = _hashes(repl.run(code + f"_c({path!r})"))
    except PeerRefused as error:
        raise _refused(repl.port, path, str(error)) from error
    if answer.get(path) != _hash(content):
        raise PeerRefused(
            f"board on {repl.port}: {path} did not arrive whole.\n"
            "  Is its file system damaged? See: mpremote df"
        )
    repl.run(f"_m({path!r})")
    progress(done, total, path)
    return done


def _refused(port: str, path: str, words: str) -> PeerRefused:
    if "ENOSPC" in words or words.endswith("OSError: 28"):
        return PeerRefused(
            f"board on {port}: {path}: No space left on its file system.\n"
            f"  See what is there: mpremote connect {port} df + fs ls"
        )
    return PeerRefused(f"{path} did not arrive: {words}")


def _hashes(answer: str) -> dict[str, str]:
    words = (line.split(" ", 2) for line in answer.splitlines())
    return {each[2]: each[1] for each in words if len(each) == 3 and each[0] == "sha256"}


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
