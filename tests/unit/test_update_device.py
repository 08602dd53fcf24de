"""The device's end of an update, in MicroPython on a file system in memory: no manifest with any
bit changed is taken, and no damage to the line that names the slots bars a start."""

import subprocess

from clsbench.device.update_manifest import make_manifest, update_key
from clsbench.hil.interpreter import find_micropython
from clsbench.paths import firmware_dir

KEY = bytes(range(32))
FILES = [
    ("board.mpy", b"M\x06"),
    ("lib/dicamm/x.mpy", b"M\x06\x1f"),
    ("main.py", b"no part of it"),
]

BEGIN = """
import sys, os, vfs, asyncio
sys.path[:] = [{firmware!r}, ".frozen"]
import slots
from dicamm.app import update
class Ram:
    def __init__(self):
        self.data = bytearray(64 * 512)
    def readblocks(self, n, buf, off=0):
        buf[:] = self.data[n * 512 + off : n * 512 + off + len(buf)]
    def writeblocks(self, n, buf, off=0):
        self.data[n * 512 + off : n * 512 + off + len(buf)] = buf
    def ioctl(self, op, arg):
        return {{4: 64, 5: 512}}.get(op, 0)
ram = Ram()
vfs.VfsLfs2.mkfs(ram)
vfs.umount("/")
vfs.mount(vfs.VfsLfs2(ram), "/")
class Device:
    board = "unix"
"""

FLIPS = """
made = update.Update(Device(), {key!r})
whole = {text!r}
def verdict(text):
    with open(update.MANIFEST, "wb") as file:
        file.write(text)
    try:
        made._authenticate()
    except update.Refused as refusal:
        return refusal.args[1]
assert verdict(whole) is None
refused = 0
for at in range(len(whole)):
    for bit in range(8):
        text = bytearray(whole)
        text[at] ^= 1 << bit
        refused += verdict(text) == "manifest is not authentic"
for cut in range(len(whole)):
    refused += verdict(whole[:cut]) in ("manifest is not authentic", "manifest cut off")
for more in (b"\\n", b"x", whole):
    refused += verdict(whole + more) == "manifest is not authentic"
print(refused, len(whole))
"""

SLOTS = """
state = slots.State()
state.good, state.version, state.trial, state.starts = 1, 17, 18, 1
slots.save(state)
line = open("/slots", "rb").read()
assert vars_of(slots.load()) == vars_of(state)
kept = 0
for at in range(len(line) - 1):  # the line feed carries nothing
    for bit in range(8):
        text = bytearray(line)
        text[at] ^= 1 << bit
        with open("/slots", "wb") as file:
            file.write(text)
        kept += vars_of(slots.load()) != vars_of(slots.State())
for cut in range(len(line) - 1):
    with open("/slots", "wb") as file:
        file.write(line[:cut])
    kept += vars_of(slots.load()) != vars_of(slots.State())
print(kept)
os.remove("/slots")
paths = []
for good, trial in ((0, 0), (1, 0), (0, 9), (1, 9)):
    state = slots.State()
    state.good, state.trial = good, trial
    slots.save(state)
    slots.enter()
    slots.enter()
    paths.append(sys.path[:2] == ["/b", "/b/lib"] and sys.path.count("/b") == 1)
print(paths)
"""


def run(body: str) -> list[str]:
    script = BEGIN.format(firmware=str(firmware_dir())) + body
    done = subprocess.run(
        [find_micropython(), "-X", "heapsize=512k", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert not done.stderr, done.stderr
    return done.stdout.split("\n")


def test_a_manifest_with_any_bit_changed_cut_or_longer_is_refused():
    text = make_manifest("unix", 7, FILES, KEY).text
    said, _ = run(FLIPS.format(key=update_key(KEY), text=text))
    refused, size = map(int, said.split())
    assert size == len(text)
    assert refused == size * 8 + size + 3


def test_a_damaged_line_of_the_slots_starts_what_the_cable_put_there():
    vars_of = (
        "def vars_of(s):\n    return (s.good, s.version, s.trial, s.starts, s.failed, s.why)\n"
    )
    kept, paths, _ = run(vars_of + SLOTS)
    assert kept == "0"
    assert paths == "[False, True, True, False]"


def test_a_manifest_lists_the_slot_and_not_what_chooses_it():
    made = make_manifest("unix", 7, FILES, KEY)
    assert made.paths == ("board.mpy", "lib/dicamm/x.mpy")
    assert made.text.startswith(b"clsbench update 1\nboard unix\nversion 7\nfile ")


STEPS = """
class Alive:
    told = 0
    def alive(self):
        self.told += 1
class Meter:
    healthy = False
class Bus:
    idle = hold = False
class Legal(Device):
    link, meter, bus = Alive(), Meter(), Bus()
made = update.Update(Legal(), {key!r})
with open(update.MANIFEST, "wb") as file:
    file.write({text!r})
reply = asyncio.run(made.serve({{2: update.CHECK}}))
print(reply[3], Legal.link.told, Legal.bus.hold)
os.stat("/b/lib/dicamm/app")
sent = asyncio.run(made.serve({{2: update.FILE_BYTES, 3: 0, 4: 0, 5: b"M\\x06"}}))
print(sent[2])
"""


def test_each_file_of_a_check_is_a_sign_of_life_and_a_silent_meter_is_not_waited_for():
    files = [*FILES, ("lib/dicamm/app/y.mpy", b"M\x06\x1e")]
    text = make_manifest("unix", 7, files, KEY).text
    checked, sent, _ = run(STEPS.format(key=update_key(KEY), text=text))
    assert checked == "[0, 1, 2] 3 False"
    assert sent == "0"
