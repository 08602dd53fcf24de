"""What the journal costs and holds, counted on the record flash of the unix board.

A day is that of performance-anchors: 96 quarter hours, 50 transactions of a begin and an end at
random times, 196 records. Flash of 100,000 erases a sector (data-sheet class).
"""

import pytest
from journal_kit import NorFile, Records, Rng

from dicamm.drivers.flash import FlashRegion
from dicamm.store.journal import Journal

SECTORS_OF_1_4_MB = 1_400_000 // 4096  # 341
PER_DAY = 196
ERASES_OF_A_SECTOR = 100_000
TEXT = "Abruf 2026-11-22 Pool 7 Los 37"  # 30 bytes; 64 are allowed


class Day:
    """Kinds of record in the order in which a day makes them, day after day."""

    def __init__(self, seed):
        self._rng = Rng(seed)
        self._left = []

    def next(self):
        if not self._left:
            events = [(self._rng.below(86400), 16) for _ in range(100)]
            self._left = sorted([(900 * n, 7) for n in range(96)] + events, reverse=True)
        return self._left.pop()[1]


class Flash:
    """A journal on a NorFile, and records to put into it."""

    def __init__(self, path, sectors, values=1, text=TEXT):
        self.device = NorFile(str(path / "record.nor"), sectors)
        self.region = FlashRegion(self.device, sectors)
        self.journal = Journal(self.region, erase_inline=False)
        self._records = Records(Rng(1), values)
        self._day = Day(2)
        self._previous = None
        self._text = text
        self.sizes = []

    def append(self):
        """One record of the day; announced, delivered and acknowledged before the next."""
        journal = self.journal
        seq = journal.newest + 1
        kind, sealed = self._records.make(seq, self._day.next(), self._previous, self._text)
        journal.append(seq, kind, sealed)
        self._previous = sealed
        self.sizes.append(len(sealed))
        journal.announced(journal.unannounced())
        journal.acknowledge(seq)
        journal.erase_ahead()


@pytest.fixture
def flash(tmp_path, request):
    made = []

    def make(*arguments, **options):
        made.append(Flash(tmp_path, *arguments, **options))
        return made[-1]

    yield make
    for one in made:
        one.device.close()


@pytest.mark.parametrize(
    ("values", "text", "days"), [(1, TEXT, 62), (2, TEXT[:20], 61), (1, "", 79)]
)
def test_retention_is_60_days_in_1_4_mb(flash, values, text, days):
    ring = flash(SECTORS_OF_1_4_MB, values, text)
    while ring.journal.oldest <= 1:
        ring.append()
    for _ in range(100):
        ring.append()
    journal = ring.journal
    held = journal.newest - journal.oldest + 1
    assert held / PER_DAY >= days >= 60, f"{held} records are {held / PER_DAY:.1f} days"
    for seq in (journal.oldest, (journal.oldest + journal.newest) // 2, journal.newest):
        assert journal.read(seq) is not None
    assert journal.dropped == 0 and journal.long == 0 and journal.plain < 80


def test_wear_is_even_and_small(flash):
    ring = flash(12)
    while min(ring.device.erased) < 25:
        ring.append()
    records = ring.journal.newest
    device = ring.device
    erases_per_record = device.erases / records
    pages_per_record = device.programs / records
    assert erases_per_record <= 0.0625 and pages_per_record <= 1.1
    assert erases_per_record <= 0.03 and pages_per_record <= 1.04  # marks and headers included
    mean = device.erases / 12
    assert max(device.erased) <= 1.1 * mean
    life_days = ERASES_OF_A_SECTOR * SECTORS_OF_1_4_MB / (erases_per_record * PER_DAY)
    assert life_days / 365 >= 5000
    life_at_one_a_second = ERASES_OF_A_SECTOR * SECTORS_OF_1_4_MB / (erases_per_record * 86400)
    assert life_at_one_a_second / 365 >= 15


def test_records_of_200_bytes_that_do_not_pack_stay_within_the_bounds(flash):
    ring = flash(8)
    journal = ring.journal
    rng = Rng(7)
    while min(ring.device.erased) < 12:
        before = (ring.device.programs, ring.device.erases)
        journal.append(journal.newest + 1, 16, rng.bytes(200))
        assert (ring.device.programs, ring.device.erases) == (before[0] + 1, before[1])
        journal.acknowledge(journal.newest)
        journal.erase_ahead()
    assert ring.device.erases / journal.newest <= 0.0625 + 0.002  # the sector ahead is counted
    assert ring.device.programs / journal.newest <= 1.1


def test_each_record_is_one_program_and_no_erase_to_durable(flash):
    ring = flash(6)
    for _ in range(600):
        ring.append()
    journal = ring.journal
    for _ in range(300):
        seq = journal.newest + 1
        before = (ring.device.programs, ring.device.erases)
        journal.append(seq, 7, b"a record of some length %d" % seq)
        assert (ring.device.programs, ring.device.erases) == (before[0] + 1, before[1])
        journal.acknowledge(seq)
        journal.erase_ahead()
    assert journal.late_erases == 0


@pytest.mark.parametrize("more", [0, 7, 20, 33])
def test_start_reads_a_page_per_sector_and_one_sector(flash, more):
    ring = flash(40)
    while ring.journal.oldest <= 1:
        ring.append()
    for _ in range(more):
        ring.append()
    before = ring.device.bytes_read
    Journal(ring.region)
    assert ring.device.bytes_read - before <= 40 * 256 + 4096 + 12


def test_index_in_memory_does_not_grow(flash):
    ring = flash(8)
    for _ in range(200):
        ring.append()
    journal = ring.journal
    before = size_of(journal)
    for _ in range(1500):
        ring.append()
    assert size_of(journal) <= before + 512  # the sealed record at hand varies
    assert len(journal._ring._starts) == 8


def size_of(thing, seen=None):
    """Bytes in buffers, strings, lists and dicts reachable from an object."""
    seen = set() if seen is None else seen
    if id(thing) in seen:
        return 0
    seen.add(id(thing))
    if isinstance(thing, (bytes, bytearray)):
        return len(thing)
    if isinstance(thing, (list, tuple)):
        return 8 * len(thing) + sum(size_of(item, seen) for item in thing)
    if isinstance(thing, dict):
        return sum(8 + size_of(item, seen) for item in thing.values())
    if type(thing).__module__.startswith("dicamm.store"):
        return size_of(vars(thing), seen)
    return 0
