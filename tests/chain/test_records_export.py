"""A device with records of an older layout starts again without losing a record or a number."""

import json
import subprocess
import zlib

import pytest
from cli_board_kit import COMMAND, running

from clsbench.device.record_flash import ERASED, SECTOR, Image
from dicamm.store import journal_layout1

SECTORS = 44
COUNT = 21
ACKNOWLEDGED = 4


def old_image() -> bytes:
    """A ring of layout 1 with records that are none of today's, numbers 1 to COUNT."""
    image = Image(ERASED * SECTOR * SECTORS)
    for seq in range(1, COUNT + 1):
        slot = bytearray(ERASED * 512)
        body = b"sealed by an older firmware %d" % seq
        slot[0:8] = len(body).to_bytes(2, "little") + seq.to_bytes(4, "little") + b"\x07\xff"
        slot[7] ^= journal_layout1.ACKNOWLEDGED if seq <= ACKNOWLEDGED else 0
        crc = zlib.crc32(bytes(slot[:7]) + body).to_bytes(4, "little")
        slot[8 : 8 + len(body) + 4] = body + crc
        at = (seq - 1) * 512
        image.data[at : at + 512] = slot
    return bytes(image.data)


@pytest.fixture(scope="module")
def dicamm(tmp_path_factory):
    work = tmp_path_factory.mktemp("dicamm")
    with running(work) as made:
        made.work = work
        yield made


def test_old_records_are_refused_exported_converted_and_gone_on_from(dicamm, tmp_path):
    flash_file = dicamm.work / "board" / "record.nor"
    dicamm.board.stop()
    flash_file.write_bytes(old_image() + flash_file.read_bytes()[SECTORS * SECTOR :])
    dicamm.board.start()
    dicamm.run("status", code=1)

    told = dicamm.json("records", "export", "--raw", "--out", str(tmp_path / "old"), "--convert")
    assert told["layout"] == 1 and told["converted"]
    assert (told["records"], told["oldest"], told["newest"]) == (COUNT, 1, COUNT)
    assert (tmp_path / "old" / "records.nor").read_bytes() == old_image()
    assert len(list((tmp_path / "old").glob("*.cbor"))) == COUNT

    dicamm.wait_for_meter()
    journal = dicamm.json("status")["journal"]
    assert (journal["oldest"], journal["newest"]) == (1, COUNT)
    assert journal["unacknowledged"] == COUNT - ACKNOWLEDGED


def test_an_image_is_read_without_a_board(tmp_path):
    (tmp_path / "image").write_bytes(old_image())
    arguments = ["records", "export", "--raw", "--image", str(tmp_path / "image"), "--json"]
    done = subprocess.run(
        [*COMMAND, *arguments, "--out", str(tmp_path / "out")], capture_output=True, timeout=120
    )
    assert done.returncode == 0 and json.loads(done.stdout)["records"] == COUNT
    assert (tmp_path / "out" / "000021-unreadable.cbor").read_bytes().endswith(b"firmware 21")
