"""The record flash of the unix board refuses what a NOR chip would silently get wrong."""

import errno
import importlib.util
import subprocess

import pytest

from clsbench.hil.interpreter import find_micropython
from clsbench.paths import boards_dir

SHIM = boards_dir() / "unix" / "shim"
SECTOR = 4096
PAGE = 256


def load_norflash():
    spec = importlib.util.spec_from_file_location("norflash", SHIM / "norflash.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


NorFile = load_norflash().NorFile


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "record.nor")


@pytest.fixture
def nor(path):
    flash = NorFile(path, 4)
    yield flash
    flash.close()


def read(nor, block, offset, length):
    buffer = bytearray(length)
    nor.readblocks(block, buffer, offset)
    return bytes(buffer)


def test_new_flash_reads_erased_and_tells_its_geometry(nor):
    assert read(nor, 0, 0, 4 * SECTOR) == b"\xff" * 4 * SECTOR
    assert (nor.ioctl(4, 0), nor.ioctl(5, 0)) == (4, SECTOR)


def test_program_clears_bits_and_leaves_the_rest(nor):
    nor.writeblocks(1, b"\x0f\xf0", 10)
    assert read(nor, 1, 9, 4) == b"\xff\x0f\xf0\xff"
    nor.writeblocks(1, b"\x0e\xff", 10)  # clears one bit more, and touches nothing by 0xFF
    assert read(nor, 1, 10, 2) == b"\x0e\xf0"
    assert nor.programs == 2


def test_program_that_needs_a_set_bit_is_refused_and_writes_nothing(nor):
    nor.writeblocks(0, b"\xff\x00", 0)
    with pytest.raises(OSError) as caught:
        nor.writeblocks(0, b"\x00\x01", 0)
    assert caught.value.errno == errno.EPERM
    assert read(nor, 0, 0, 2) == b"\xff\x00"


@pytest.mark.parametrize(
    ("offset", "length"), [(PAGE - 1, 2), (0, PAGE + 1), (3 * PAGE + 8, PAGE)]
)
def test_program_across_a_page_boundary_is_refused(nor, offset, length):
    with pytest.raises(OSError) as caught:
        nor.writeblocks(0, bytes(length), offset)
    assert caught.value.errno == errno.EINVAL
    assert nor.programs == 0


@pytest.mark.parametrize("offset", [0, PAGE, SECTOR - PAGE])
def test_whole_page_is_one_program(nor, offset):
    nor.writeblocks(2, bytes(range(256)), offset)
    assert read(nor, 2, offset, PAGE) == bytes(range(256))
    assert nor.programs == 1


def test_erase_sets_one_sector_to_ones_and_is_counted(nor):
    for sector in (0, 1, 2):
        nor.writeblocks(sector, b"\0", 0)
    assert nor.ioctl(6, 1) == 0
    assert [read(nor, sector, 0, 1) for sector in (0, 1, 2)] == [b"\0", b"\xff", b"\0"]
    assert nor.erases == 1


def test_write_without_offset_erases_first(nor):
    nor.writeblocks(1, b"\0" * SECTOR)
    nor.writeblocks(1, b"\xa5" * SECTOR)
    assert read(nor, 1, 0, SECTOR) == b"\xa5" * SECTOR
    assert nor.erases == 2


@pytest.mark.parametrize(("block", "offset"), [(4, 0), (3, SECTOR), (-1, 0), (0, -1)])
def test_access_outside_the_chip_is_refused(nor, block, offset):
    with pytest.raises(OSError):
        nor.writeblocks(block, b"\0", offset)
    with pytest.raises(OSError):
        nor.readblocks(block, bytearray(1), offset)


def test_content_outlives_the_object_and_counters_do_not(nor, path):
    nor.writeblocks(3, b"kept", 0)
    again = NorFile(path, 4)
    assert read(again, 3, 0, 4) == b"kept"
    assert (again.erases, again.programs) == (0, 0)
    again.close()


def test_torn_program_leaves_its_first_bytes(nor):
    nor.tear_after = 3
    with pytest.raises(OSError) as caught:
        nor.writeblocks(0, b"abcdef", 0)
    assert caught.value.errno == errno.EIO
    assert read(nor, 0, 0, 6) == b"abc\xff\xff\xff"


def test_micropython_sees_the_same_chip(path):
    script = f"""
import sys
sys.path.insert(0, {str(SHIM)!r})
from norflash import NorFile
nor = NorFile({path!r}, 2)
nor.writeblocks(1, b"seal", 256)
codes = []
for data, offset in ((b"\\x7f", 256), (b"xx", 511)):
    try:
        nor.writeblocks(1, data, offset)
    except OSError as error:
        codes.append(error.errno)
nor.ioctl(6, 0)
print(codes, nor.programs, nor.erases)
"""
    done = subprocess.run(
        [find_micropython(), "-c", script], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.split() == ["[1,", "22]", "1", "1"]
    flash = NorFile(path, 2)
    assert read(flash, 1, 256, 5) == b"seal\xff"
    flash.close()
