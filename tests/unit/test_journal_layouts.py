"""Journals of other layouts are refused untouched; layout 1 can be read and carried over."""

from binascii import crc32

import pytest
from journal_kit import Records, Rng, layout1
from nor_model import SECTOR, NorModel

from dicamm.store import journal_layout1
from dicamm.store.journal import Journal, LayoutError

SLOTS = 8  # of layout 1, in a sector


def image_of_layout_1(sectors, count, first=1, acknowledged=0, announced=0):
    """(flash, {number: (kind, sealed)}) of a ring of layout 1, wrapped where count says so."""
    flash = NorModel(sectors)
    records = Records(Rng(4))
    made = {}
    previous = None
    for seq in range(first, first + count):
        kind, previous = records.make(seq, 16 if seq % 3 else 7, previous)
        slot = (seq - first) % (sectors * SLOTS)
        if slot % SLOTS == 0:
            flash.erase(slot // SLOTS)
            for gone in range(seq - sectors * SLOTS, seq - (sectors - 1) * SLOTS):
                made.pop(gone, None)
        flags = layout1.ACKNOWLEDGED if seq <= acknowledged else 0
        flags |= layout1.ANNOUNCED if seq <= announced else 0
        layout1.put(flash, slot, seq, kind, previous, flags)
        made[seq] = (kind, previous)
    return flash, made


def test_layout_1_is_refused_and_left_alone():
    flash, _ = image_of_layout_1(4, 11)
    before = bytes(flash.data)
    with pytest.raises(LayoutError) as caught:
        Journal(flash)
    assert caught.value.args == (1,)
    assert bytes(flash.data) == before


def test_layout_of_the_future_is_refused_and_left_alone():
    flash = NorModel(3)
    Journal(flash).append(1, 16, b"record")
    header = Journal(flash)._ring.tip.header
    image = bytearray(flash.data[: header.end])
    header.build(image)
    image[2] = 3
    image[28:32] = crc32(image[32:], crc32(image[:28])).to_bytes(4, "little")
    flash.data[: header.end] = image
    before = bytes(flash.data)
    with pytest.raises(LayoutError) as caught:
        Journal(flash)
    assert caught.value.args == (3,)
    assert bytes(flash.data) == before


@pytest.mark.parametrize("count", [1, 8, 20, 32, 45])
def test_every_whole_record_of_layout_1_can_be_exported(count):
    flash, made = image_of_layout_1(4, count, first=5, acknowledged=9, announced=7)
    found = list(journal_layout1.records(flash))
    assert [(seq, kind, sealed) for seq, kind, _, _, sealed in found] == [
        (seq, kind, sealed) for seq, (kind, sealed) in sorted(made.items())
    ]
    assert [seq for seq, _, done, _, _ in found if done] == [seq for seq in made if seq <= 9]
    assert [seq for seq, _, _, done, _ in found if done] == [seq for seq in made if seq <= 7]


def test_torn_record_of_layout_1_is_no_record():
    flash, made = image_of_layout_1(4, 6)
    flash.data[5 * 512 + 40] ^= 0x40
    assert [entry[0] for entry in journal_layout1.records(flash)] == [1, 2, 3, 4, 5]


def test_converting_keeps_numbers_records_marks_and_links():
    old, made = image_of_layout_1(4, 45, first=100, acknowledged=120, announced=118)
    new = NorModel(6)
    journal = Journal(new)
    assert journal_layout1.convert(old, journal) == len(made)
    mounted = Journal(new)
    assert (mounted.oldest, mounted.newest) == (min(made), max(made))
    for seq, (kind, sealed) in made.items():
        assert mounted.read(seq) == sealed and mounted.kind(seq) == kind
    assert mounted.pending(1) == [121]
    assert mounted.unannounced() == 119
    mounted.append(145, 16, b"the numbers go on")
    assert mounted.newest == 145


def test_blank_and_foreign_flash_is_not_taken_for_layout_1():
    assert not journal_layout1.found(NorModel(3))
    flash = NorModel(3)
    rng = Rng(2)
    flash.data[:SECTOR] = bytes(rng.byte() for _ in range(SECTOR))
    assert not journal_layout1.found(flash)
    journal = Journal(NorModel(3))
    journal.append(1, 16, b"of layout 2")
    assert not journal_layout1.found(journal._ring._region)
