"""Images of MicroPython: only the right one goes on, and an ESP32's gets room for records."""

import struct
import sys
from pathlib import Path

import pytest

from clsbench.device import esp_image, image
from clsbench.device.boards import board_facts
from clsbench.errors import BadInput, EnvironmentProblem

RP2040, ABSOLUTE = 0xE48BFF56, 0xE48BFF57


def uf2(families=(RP2040, RP2040)):
    """Blocks as the UF2 specification has them."""
    blocks = []
    for number, family in enumerate(families):
        head = struct.pack(
            "<8I", 0x0A324655, 0x9E5D5157, 0x2000, 0x10000000 + 256 * number, 256, number,
            len(families), family,
        )  # fmt: skip
        blocks.append(head + bytes(476) + struct.pack("<I", 0x0AB16F30))
    return b"".join(blocks)


@pytest.fixture
def drive(tmp_path):
    """A folder like the drive of a Pico in its boot ROM."""
    folder = tmp_path / "media" / "me" / "RPI-RP2"
    folder.mkdir(parents=True)
    (folder / "INFO_UF2.TXT").write_text(
        "UF2 Bootloader v3.0\r\nModel: Raspberry Pi RP2\r\nBoard-ID: RPI-RP2\r\n"
    )
    return folder


def put(file, drive, board=None, dry_run=False):
    return image.put(file, None, board, drive, erase=False, dry_run=dry_run)


def test_an_image_is_copied_to_the_drive_of_its_chip(tmp_path, drive):
    file = tmp_path / "pico.uf2"
    file.write_bytes(uf2())
    assert "would copy" in put(file, drive, dry_run=True)["done"]
    assert not (drive / "pico.uf2").exists()
    assert "2 blocks for RP2040" in put(file, drive, "rpi_pico")["done"]
    assert (drive / "pico.uf2").read_bytes() == uf2()


def test_the_drive_is_found_by_what_it_says_of_itself(tmp_path, drive):
    (tmp_path / "media" / "me" / "USB-STICK").mkdir()
    assert image.find_drive("RP2040", [str(tmp_path / "media")]) == drive
    assert image.find_drive("RP2350", [str(tmp_path / "media")]) is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (uf2()[:-1], "no whole number"),
        (b"\0" * 512, "no UF2 block"),
        (uf2((0xE48BFF59,)), "is for RP2350.*drive|drive of RP2040"),
        (uf2((0x1C5F21B0,)), "not for RP2040"),
    ],
)
def test_a_damaged_or_foreign_image_is_refused(tmp_path, drive, content, words):
    file = tmp_path / "x.uf2"
    file.write_bytes(content)
    with pytest.raises(BadInput, match=words):
        put(file, drive)
    assert not (drive / "x.uf2").exists()


def test_an_image_for_another_board_than_named_is_refused(tmp_path, drive):
    file = tmp_path / "x.uf2"
    file.write_bytes(uf2())
    with pytest.raises(BadInput, match="is for RP2040; Raspberry Pi Pico 2 W"):
        put(file, drive, "rpi_pico2_w")


def test_no_drive_says_how_to_get_one(tmp_path, monkeypatch):
    file = tmp_path / "x.uf2"
    file.write_bytes(uf2())
    monkeypatch.setattr(image, "find_drive", lambda chip: None)
    with pytest.raises(EnvironmentProblem, match="BOOTSEL"):
        put(file, None)


# partitions-4MiB.csv of MicroPython's esp32 port
STOCK = [
    esp_image.Partition(1, 2, 0x9000, 0x6000, "nvs"),
    esp_image.Partition(1, 1, 0xF000, 0x1000, "phy_init"),
    esp_image.Partition(0, 0, 0x10000, 0x1F0000, "factory"),
    esp_image.Partition(1, 0x81, 0x200000, 0x200000, "vfs"),
]


def esp_file(begin=0x1000, partitions=STOCK):
    body = bytearray(b"\xff" * (0x20000 - begin))
    body[0] = 0xE9
    at = 0x8000 - begin
    body[at : at + 0xC00] = esp_image.write_table(partitions)
    return bytes(body)


class Esptool:
    """Answers for a board whose table is `table`; keeps what it was asked."""

    def __init__(self, table):
        self.table = table
        self.asked = []

    def __call__(self, arguments):
        self.asked.append(list(arguments))
        if "read_flash" in arguments:
            Path(arguments[-1]).write_bytes(self.table)
        else:
            self.written = Path(arguments[-1]).read_bytes()


def test_the_tables_checksum_is_that_of_the_format():
    table = esp_image.write_table(STOCK)
    assert len(table) == 0xC00 and esp_image.read_table(table) == STOCK
    damaged = bytearray(table)
    damaged[5] ^= 1
    with pytest.raises(BadInput, match="checksum"):
        esp_image.read_table(bytes(damaged))


def test_an_esp32_gets_a_partition_for_records_from_the_end_of_its_files(tmp_path):
    file = tmp_path / "esp.bin"
    file.write_bytes(esp_file())
    facts = board_facts("esp32_generic")
    tool = Esptool(esp_image.write_table(STOCK))
    with pytest.raises(BadInput, match="--erase"):
        esp_image.put(file, "/dev/x", facts, erase=False, dry_run=False, run=tool)
    assert len(tool.asked) == 1  # it looked, and wrote nothing
    esp_image.put(file, "/dev/x", facts, erase=True, dry_run=False, run=tool)
    assert tool.asked[-1][:6] == [
        "--chip",
        "esp32",
        "--port",
        "/dev/x",
        "write_flash",
        "--erase-all",
    ]
    table = esp_image.read_table(tool.written[0x7000 : 0x7000 + 0xC00])
    files, records = table[-2:]
    assert (files.name, files.offset, files.size) == ("vfs", 0x200000, 0x100000)
    assert (records.name, records.offset, records.size) == ("dicamm", 0x300000, 0x100000)


def test_a_board_that_has_the_table_keeps_files_and_records(tmp_path):
    file = tmp_path / "esp.bin"
    file.write_bytes(esp_file(begin=0))
    facts = board_facts("esp32_c3")
    has = esp_image.patched(esp_file(begin=0), facts, "x")[0x8000 : 0x8000 + 0xC00]
    tool = Esptool(has)
    done = esp_image.put(file, "/dev/x", facts, erase=False, dry_run=False, run=tool)
    assert "records stay" in done and "--erase-all" not in tool.asked[-1]


def test_without_esptool_the_extra_is_named(tmp_path, monkeypatch):
    file = tmp_path / "esp.bin"
    file.write_bytes(esp_file())
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$0: No module named esptool" >&2\nexit 1\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    facts = board_facts("esp32_generic")
    with pytest.raises(EnvironmentProblem, match=r"pip install 'clsbench\[esp32\]'"):
        esp_image.put(file, "/dev/x", facts, erase=False, dry_run=False)


def test_an_image_without_room_or_for_a_larger_flash_is_refused():
    facts = board_facts("esp32_generic")
    small = [*STOCK[:3], esp_image.Partition(1, 0x81, 0x200000, 0x180000, "vfs")]
    with pytest.raises(BadInput, match="1536 KiB, records 1024"):
        esp_image.patched(esp_file(partitions=small), facts, "x")
    large = [*STOCK[:3], esp_image.Partition(1, 0x81, 0x200000, 0x600000, "vfs")]
    with pytest.raises(BadInput, match="smaller flash"):
        esp_image.patched(esp_file(partitions=large), facts, "x")
