"""Takes the firmware off a board again, its keys first.

Knows what flashing put there. Records stay unless they are given up by name.
"""

from clsbench.device.boards import BoardFacts
from clsbench.device.layout import OURS
from clsbench.device.link import LinkClient
from clsbench.device.repl import RawRepl
from clsbench.errors import BadInput, EnvironmentProblem, PeerSilent

KEY_FILES = ("cls.crt.der", "cls.key.der", "han-ca.der", "records.key", "sign.key")

_ERASE = """
try:
    import board
    r = board.{region}()
    for s in range({sectors}):
        r.erase(s)
except Exception as e:
    print("by hand", repr(e))
"""
_ERASE_BY_HAND = {
    "rp2": "import rp2\nb = rp2.Flash()",
    "esp32": "from esp32 import Partition\nb = Partition.find(1, label='dicamm')[0]",
}
_REMOVE = """
import os
def _t(p):
    try:
        if os.stat(p)[0] & 0x4000:
            for n in os.listdir(p):
                _t(p + "/" + n)
            os.rmdir(p)
        else:
            os.remove(p)
    except OSError:
        pass
for p in {paths!r}:
    _t("/" + p)
try:
    os.rmdir("/lib")
except OSError:
    pass
print(repr(os.listdir("/")))
"""
_STOCK = """
import rp2, vfs
vfs.umount("/")
b = rp2.Flash()
for s in range({first}, {end}):
    b.ioctl(6, s)
vfs.VfsLfs2.mkfs(b, progsize=256)
vfs.mount(vfs.VfsLfs2(b, progsize=256), "/")
"""


async def undelivered(port: str) -> int:
    """Records that nobody has acknowledged. Raises BadInput when the device does not tell."""
    try:
        link = await LinkClient.open(port)
        try:
            await link.hello(timeout_s=1.0, tries=3)
            return (await link.status())["journal"]["unacknowledged"]
        finally:
            await link.close()
    except PeerSilent as error:
        raise BadInput(
            f"device on {port} does not say whether its records are delivered.\n"
            "  Save them: clsbench records export --raw --port PORT --out DIR; or give them up: "
            "--lose-records"
        ) from error


def take_off(repl: RawRepl, facts: BoardFacts, everything: bool) -> None:
    """Erases settings and keys, removes the firmware; `everything`: the records too, and the file
    system fills the storage again, as the stock image has it."""
    repl.run("import os\ntry:\n    os.remove('/main.py')\nexcept OSError:\n    pass")
    _erase(repl, facts, "settings_flash", facts.record_sectors, facts.settings_sectors)
    if everything:
        _erase(repl, facts, "record_flash", 0, facts.record_sectors)
    ours = sorted(OURS - {"lib", "main.py"})
    repl.run(_REMOVE.format(paths=["lib/dicamm", *ours, *KEY_FILES]), timeout_s=60.0)
    if everything and facts.port == "rp2":
        end = facts.storage_blocks
        repl.run(_STOCK.format(first=facts.record_start, end=end), timeout_s=120.0)


def _erase(repl: RawRepl, facts: BoardFacts, region: str, first: int, sectors: int) -> None:
    answer = repl.run(_ERASE.format(region=region, sectors=sectors), timeout_s=120.0)
    if "by hand" not in answer:
        return
    opened = _ERASE_BY_HAND.get(facts.port)
    if opened is None:
        if "no module" in answer:  # no firmware: nothing was ever written there
            return
        raise EnvironmentProblem(f"board on {repl.port}: {answer.strip()}")
    begin = facts.record_start + first
    erase = f"{opened}\nfor s in range({begin}, {begin + sectors}):\n    b.ioctl(6, s)"
    repl.run(erase, timeout_s=120.0)
