"""Bits that flip by themselves, and what a damaged record may and may not do."""

import pytest
from journal_kit import Records, Rng
from nor_model import PAGE, SECTOR, NorModel

from dicamm.store.journal import Journal, JournalFull

FIRST = 32  # offset of the statement in a sector


def filled(count, sectors=3, seed=1):
    """(flash, records) after `count` records of both kinds and some marks."""
    flash = NorModel(sectors)
    journal = Journal(flash)
    records = Records(Rng(seed))
    made = []
    for seq in range(1, count + 1):
        kind, sealed = records.make(seq, 16 if seq % 2 else 7, made[-1][1] if made else None)
        journal.erase_ahead()
        journal.append(seq, kind, sealed)
        made.append((kind, sealed))
    return flash, made


def held(flash, made):
    """Numbers whose record reads back exactly, after a start; none may read as something else."""
    journal = Journal(flash)
    found = []
    for seq, (kind, sealed) in enumerate(made, 1):
        read = journal.read(seq)
        assert read in (None, sealed)
        if read is not None and journal.kind(seq) == kind:
            found.append(seq)
    return journal, found


def test_a_single_flipped_bit_costs_no_record():
    flash, made = filled(40)
    journal, everything = held(flash.copy(0), made)
    assert everything == list(range(1, 41))
    used = journal._ring.tip.end + SECTOR * journal._ring.tip.index
    for bit in range(7, used * 8, 29):
        twin = flash.copy(bit)
        twin.data[bit // 8] ^= 1 << bit % 8
        assert held(twin, made)[1] == everything, f"byte {bit // 8}, bit {bit % 8}"


@pytest.mark.parametrize("byte", range(FIRST + 4))
def test_every_bit_of_a_sector_header_may_flip(byte):
    flash, made = filled(40)
    for bit in range(8):
        twin = flash.copy(bit)
        twin.data[byte] ^= 1 << bit
        journal, found = held(twin, made)
        assert len(found) == 40
        journal.append(41, 16, b"next")
        assert Journal(twin).read(41) == b"next"


def damage_newest(flash, journal, bits):
    """Flips bits in the body of the newest record, as many as no check sum mends."""
    sector = journal._ring.tip
    start = sector.index * SECTOR + (sector._entry(journal.newest) & 0x0FFF)
    for bit in bits:
        flash.data[start + 10 + bit] ^= 0x10


def test_number_of_a_damaged_newest_record_is_not_given_again():
    flash, made = filled(20)
    whole = bytes(flash.data)
    damage_newest(flash, Journal(flash), range(5))
    journal = Journal(flash)
    assert journal.newest == 20 and journal.read(20) is None
    assert journal.newest_sealed() == made[18][1]
    journal.append(21, 16, b"after the damage")
    assert Journal(flash).newest == 21
    # were the bits to come back, the number stays without a record: 21 is not linked to it
    for at, byte in enumerate(whole):
        flash.data[at] = flash.data[at] & byte if byte != 0xFF else flash.data[at]
    journal = Journal(flash)
    assert journal.read(20) is None and journal.read(21) == b"after the damage"


def test_lost_record_is_passed_over_on_delivery_and_counted():
    flash, _ = filled(20)
    damage_newest(flash, Journal(flash), range(5))
    journal = Journal(flash)
    journal.append(21, 16, b"next")
    journal.acknowledge(19)
    assert journal.pending(10) == [21] and journal.lost == 1
    journal.acknowledge(21)
    assert journal.pending(10) == [] and journal.unacknowledged == 0


def test_damaged_record_inside_the_ring_costs_itself_and_those_leaning_on_it():
    flash, made = filled(40)
    journal = Journal(flash)
    sector, offset = 0, journal._ring._sector_of(9)._entry(9) & 0x0FFF
    for bit in range(6):
        flash.data[sector * SECTOR + offset + 8 + bit] ^= 0x10
    _, found = held(flash, made)
    missing = sorted(set(range(1, 41)) - set(found))
    assert missing[0] == 9
    assert len(missing) <= 3  # the page holds no more: each page begins with a whole record
    page = (sector * SECTOR + offset) // PAGE
    assert all(
        (journal._ring._sector_of(seq)._entry(seq) & 0x0FFF) // PAGE == page for seq in missing
    )


def test_lost_header_costs_its_sector_and_no_number():
    flash, made = filled(110, sectors=5)
    ring = Journal(flash)._ring
    first, behind = ring.first_of(1), ring.first_of(2)
    for byte in range(4):
        flash.data[SECTOR + 4 + byte] ^= 0x55
    journal, found = held(flash, made)
    assert journal.newest == 110 and journal.oldest == 1
    assert found == list(range(1, first)) + list(range(behind, 111))
    journal.append(111, 16, b"next")
    assert Journal(flash).read(111) == b"next"


def test_garbage_is_no_journal_and_is_not_kept():
    flash = NorModel(3)
    rng = Rng(9)
    flash.data[:] = bytes(rng.byte() for _ in range(3 * SECTOR))
    journal = Journal(flash)
    assert (journal.newest, journal.unacknowledged) == (0, 0)
    journal.append(1, 16, b"first")
    assert Journal(flash).read(1) == b"first"
    for seq in range(2, 60):
        journal.append(seq, 7, bytes([seq]) * 100)
    mounted = Journal(flash)
    assert mounted.read(59) == bytes([59]) * 100


def test_flash_that_keeps_nothing_is_an_error_not_a_success(monkeypatch):
    flash = NorModel(3)
    journal = Journal(flash)
    journal.append(1, 16, b"kept")
    monkeypatch.setattr(flash, "program", lambda sector, offset, page: None)
    with pytest.raises(OSError):
        journal.append(2, 16, b"not kept")
    assert journal.newest == 1 and journal.failed == 3


def test_marks_of_a_full_ring_come_with_the_next_erase():
    flash = NorModel(3)
    journal = Journal(flash)
    while journal.free:
        journal.append(journal.newest + 1, 16, bytes(244))
    with pytest.raises(JournalFull):
        journal.append(journal.newest + 1, 16, bytes(244))
    journal.acknowledge(journal.newest)
    assert not journal.flush()
    assert journal.erase_ahead()
    assert Journal(flash).unacknowledged == 0
