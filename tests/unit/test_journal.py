"""The journal on flash that obeys NOR rules: what was promised is there after every mount."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "boards" / "unix" / "shim"))

from norflash import NorFile

from dicamm.drivers.flash import FlashRegion
from dicamm.store.journal import MAX_SEALED, Journal, JournalFull

SECTORS = 4
SLOTS = SECTORS * 8


@pytest.fixture
def region(tmp_path):
    device = NorFile(str(tmp_path / "record.nor"), SECTORS)
    yield FlashRegion(device, SECTORS)
    device.close()


def device_of(region):
    return region._device


def fill(journal, count, kind=16):
    for _ in range(count):
        seq = journal.newest + 1
        journal.append(seq, kind, b"record %d" % seq)


def test_new_flash_is_empty(region):
    journal = Journal(region)
    assert (journal.newest, journal.oldest, journal.unacknowledged) == (0, 0, 0)
    assert journal.capacity == SLOTS
    assert journal.read(1) is None


def test_records_survive_a_new_mount(region):
    fill(Journal(region), 11)
    mounted = Journal(region)
    assert (mounted.oldest, mounted.newest) == (1, 11)
    assert [mounted.read(seq) for seq in range(1, 12)] == [b"record %d" % n for n in range(1, 12)]
    fill(mounted, 1)
    assert Journal(region).read(12) == b"record 12"


def test_longest_record_fits_and_a_longer_one_is_refused(region):
    journal = Journal(region)
    journal.append(1, 16, b"\x00" * MAX_SEALED)
    assert Journal(region).read(1) == b"\x00" * MAX_SEALED
    with pytest.raises(ValueError, match="slot takes"):
        journal.append(2, 16, b"\x00" * (MAX_SEALED + 1))


def test_a_number_out_of_turn_is_refused(region):
    journal = Journal(region)
    journal.append(1, 16, b"a")
    with pytest.raises(ValueError, match="record 3 after 1"):
        journal.append(3, 16, b"b")


def test_acknowledging_needs_no_erase_and_survives(region):
    journal = Journal(region)
    fill(journal, 5)
    erases = device_of(region).erases
    journal.acknowledge(3)
    assert device_of(region).erases == erases
    assert journal.pending(10) == [4, 5]
    assert Journal(region).pending(10) == [4, 5]
    assert Journal(region).unacknowledged == 2


def test_announcing_is_apart_from_acknowledging(region):
    journal = Journal(region)
    fill(journal, 1, kind=7)
    fill(journal, 2, kind=16)
    assert journal.unannounced() == 2
    journal.announced(2)
    journal.acknowledge(3)
    assert Journal(region).unannounced() == 3
    assert Journal(region).pending(10) == []


def test_ring_wraps_over_acknowledged_records(region):
    journal = Journal(region)
    for _ in range(3 * SLOTS):
        fill(journal, 1)
        journal.acknowledge(journal.newest)
    assert journal.newest == 3 * SLOTS
    mounted = Journal(region)
    assert mounted.newest == 3 * SLOTS
    assert mounted.oldest >= 2 * SLOTS
    assert mounted.read(mounted.oldest) == b"record %d" % mounted.oldest


def test_unacknowledged_evidence_never_gives_way(region):
    journal = Journal(region)
    fill(journal, SLOTS)
    assert not journal.room()
    with pytest.raises(JournalFull):
        fill(journal, 1)
    assert journal.oldest == 1
    journal.acknowledge(8)
    assert journal.room()
    fill(journal, 1)
    assert Journal(region).newest == SLOTS + 1


def test_quarter_hours_give_way_first_and_are_counted(region):
    journal = Journal(region)
    fill(journal, SLOTS, kind=7)
    fill(journal, 1, kind=16)
    assert journal.dropped == 8
    assert journal.oldest == 9


@pytest.mark.parametrize("programs_before", [0, 1])
@pytest.mark.parametrize("torn_bytes", [0, 1, 2, 7, 8, 100, 255])
def test_torn_write_is_passed_over_and_its_number_given_to_the_next(
    region, torn_bytes, programs_before
):
    journal = Journal(region)
    fill(journal, 3)
    if programs_before:
        tear_second_program(device_of(region), torn_bytes)
    else:
        device_of(region).tear_after = torn_bytes
    with pytest.raises(OSError):
        journal.append(4, 16, b"\x5a" * MAX_SEALED)
    mounted = Journal(region)
    assert mounted.newest == 3
    mounted.append(4, 16, b"whole")
    again = Journal(region)
    assert again.newest == 4
    assert again.read(4) == b"whole"
    assert [again.read(seq) for seq in (1, 2, 3)] == [b"record 1", b"record 2", b"record 3"]


def tear_second_program(device, torn_bytes):
    whole = device.writeblocks

    def first(block, buf, offset=None):
        device.writeblocks = whole
        whole(block, buf, offset)
        device.tear_after = torn_bytes

    device.writeblocks = first


def test_a_flipped_bit_in_a_record_is_seen(region):
    fill(Journal(region), 2)
    device = device_of(region)
    device._file.seek(512 + 8)
    byte = device._file.read(1)[0]
    device._file.seek(512 + 8)
    device._file.write(bytes([byte & (byte - 1)]))
    mounted = Journal(region)
    assert mounted.read(2) is None
    assert mounted.torn == 1
    assert mounted.read(1) == b"record 1"
