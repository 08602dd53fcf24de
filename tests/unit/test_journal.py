"""The journal on flash that obeys NOR rules: what was promised is there after every mount."""

import pytest
from journal_kit import NorFile

from dicamm.drivers.flash import FlashRegion
from dicamm.store.journal import MAX_SEALED, RESERVE, Journal, JournalFull

SECTORS = 4
PAGES = SECTORS * 15  # those without a header
WHOLE_PAGE = 244  # bytes that leave no room for a second record on a page


@pytest.fixture
def device(tmp_path):
    device = NorFile(str(tmp_path / "record.nor"), SECTORS)
    yield device
    device.close()


@pytest.fixture
def region(device):
    return FlashRegion(device, SECTORS)


def fill(journal, count, kind=16, size=0):
    for _ in range(count):
        seq = journal.newest + 1
        journal.append(seq, kind, sealed(seq, size))


def sealed(seq, size=0):
    return (b"record %d " % seq) + b"." * max(0, size - 8 - len(str(seq)))


def test_new_flash_is_empty(region):
    journal = Journal(region)
    assert (journal.newest, journal.oldest, journal.unacknowledged) == (0, 0, 0)
    assert journal.capacity == journal.free == PAGES
    assert journal.read(1) is None and journal.read(0) is None
    assert journal.pending(5) == [] and journal.unannounced() == 0


def test_a_ring_needs_three_sectors(device):
    with pytest.raises(ValueError, match="3 sectors"):
        Journal(FlashRegion(device, 2))


def test_records_survive_a_new_mount(region):
    fill(Journal(region), 11)
    mounted = Journal(region)
    assert (mounted.oldest, mounted.newest) == (1, 11)
    assert [mounted.read(seq) for seq in range(1, 12)] == [sealed(seq) for seq in range(1, 12)]
    assert [mounted.kind(seq) for seq in (0, 1, 11, 12)] == [None, 16, 16, None]
    fill(mounted, 1)
    assert Journal(region).read(12) == sealed(12)


@pytest.mark.parametrize("size", [1, 200, 212, 213, 243, 244, 245, 256, 499, MAX_SEALED])
def test_record_of_any_size_is_kept(region, size):
    journal = Journal(region)
    for seq in range(1, 20):
        journal.append(seq, 16, bytes([seq]) * size)
    for mounted in (journal, Journal(region)):
        assert [mounted.read(seq) for seq in range(1, 20)] == [
            bytes([seq]) * size for seq in range(1, 20)
        ]


@pytest.mark.parametrize(
    ("seq", "kind", "size", "text"),
    [
        (2, 16, MAX_SEALED + 1, "slot takes"),
        (2, 16, 0, "slot takes"),
        (3, 16, 9, "record 3 after 1"),
        (1, 16, 9, "record 1 after 1"),
        (2, 8, 9, "neither 7 nor 16"),
    ],
)
def test_what_is_no_record_in_turn_is_refused(region, device, seq, kind, size, text):
    journal = Journal(region)
    fill(journal, 1)
    programs = device.programs
    with pytest.raises(ValueError, match=text):
        journal.append(seq, kind, bytes(size))
    assert device.programs == programs and journal.newest == 1


def test_first_record_may_have_any_number_but_none_below_1(region):
    journal = Journal(region)
    with pytest.raises(ValueError, match="record 0"):
        journal.append(0, 7, b"x")
    journal.append(70000, 7, b"x")
    mounted = Journal(region)
    assert (mounted.oldest, mounted.newest, mounted.unacknowledged) == (70000, 70000, 1)


def test_commit_is_one_program_and_no_erase(region, device):
    journal = Journal(region)
    erases_between = 0
    for _ in range(400):
        before = (device.programs, device.erases)
        fill(journal, 1, size=70)
        assert (device.programs, device.erases) == (before[0] + 1, before[1])
        journal.acknowledge(journal.newest)
        erases_between += journal.erase_ahead()
    assert erases_between == sum(device.erased) - 1 > SECTORS


# -- marks


def test_acknowledging_needs_no_erase_and_survives_with_the_next_record(region, device):
    journal = Journal(region)
    fill(journal, 5)
    before = (device.programs, device.erases)
    journal.acknowledge(3)
    assert (device.programs, device.erases) == before
    assert journal.pending(10) == [4, 5] and journal.unacknowledged == 2
    fill(journal, 1)
    assert Journal(region).pending(10) == [4, 5, 6]


def test_flush_puts_marks_on_flash_with_one_program(region, device):
    journal = Journal(region)
    fill(journal, 5)
    journal.acknowledge(4)
    journal.announced(1)
    before = (device.programs, device.erases)
    assert journal.flush()
    assert (device.programs, device.erases) == (before[0] + 1, before[1])
    assert journal.flush()
    assert device.programs == before[0] + 1
    mounted = Journal(region)
    assert mounted.pending(10) == [5]
    assert mounted.unannounced() == 2
    assert mounted.newest == 5 and mounted.read(5) == sealed(5)


def test_many_acknowledged_records_do_not_wait_for_the_next(region):
    journal = Journal(region)
    fill(journal, 80, kind=7)
    journal.acknowledge(70)
    assert Journal(region).pending(1) == [71]


def test_acknowledgement_with_gaps(region):
    journal = Journal(region)
    fill(journal, 10)
    journal.acknowledge(8, missing=[3, 5])
    assert journal.pending(10) == [3, 5, 9, 10] and journal.unacknowledged == 4
    fill(journal, 1)
    assert Journal(region).pending(2) == [3, 4]  # flash knows only what is whole behind
    journal.acknowledge(8, missing=[5])
    assert journal.pending(10) == [5, 9, 10, 11]
    journal.acknowledge(11)
    assert journal.pending(10) == [] and journal.unacknowledged == 0


def test_acknowledging_more_than_there_is_marks_what_there_is(region):
    journal = Journal(region)
    fill(journal, 2)
    journal.acknowledge(99)
    fill(journal, 1)
    assert journal.pending(10) == [3]


def test_announcing_is_apart_from_acknowledging(region):
    journal = Journal(region)
    fill(journal, 1, kind=7)
    fill(journal, 2, kind=16)
    assert journal.unannounced() == 2
    journal.announced(2)
    journal.acknowledge(3)
    journal.flush()
    assert Journal(region).unannounced() == 3
    assert Journal(region).pending(10) == []


def test_announcing_out_of_order_leaves_the_others_open(region):
    journal = Journal(region)
    fill(journal, 4)
    journal.announced(3)
    assert journal.unannounced() == 1
    journal.announced(1)
    assert journal.unannounced() == 2
    journal.announced(2)
    assert journal.unannounced() == 4


# -- what gives way


def test_ring_wraps_over_acknowledged_records(region):
    journal = Journal(region)
    for _ in range(3 * PAGES):
        fill(journal, 1, size=WHOLE_PAGE)
        journal.acknowledge(journal.newest)
    assert journal.newest == 3 * PAGES and journal.dropped == 0
    assert not journal.flush()  # no page is left in this sector, and the next is not erased
    assert journal.erase_ahead() and journal.flush()
    mounted = Journal(region)
    assert mounted.newest == 3 * PAGES
    assert mounted.newest - mounted.oldest >= PAGES - 15 - 1
    assert mounted.read(mounted.oldest) == sealed(mounted.oldest, WHOLE_PAGE)
    assert mounted.read(mounted.oldest - 1) is None
    assert mounted.dropped == 0 and mounted.unacknowledged == 0


def test_unacknowledged_evidence_never_gives_way_and_free_says_when(region, device):
    journal = Journal(region)
    taken = 0
    while journal.free:
        expected = journal.free - 1
        fill(journal, 1, size=WHOLE_PAGE)
        taken += 1
        assert journal.free == expected
    assert taken == PAGES == journal.capacity == journal.unacknowledged
    before = (device.programs, device.erases)
    with pytest.raises(JournalFull):
        fill(journal, 1, size=WHOLE_PAGE)
    assert (device.programs, device.erases) == before
    assert not journal.room() and not journal.erase_due()
    assert [journal.read(seq) for seq in (1, PAGES)] == [
        sealed(1, WHOLE_PAGE),
        sealed(PAGES, WHOLE_PAGE),
    ]
    journal.acknowledge(14)
    assert not journal.erase_due()
    journal.acknowledge(15)
    assert journal.erase_due() and journal.room() and journal.free == 15
    fill(journal, 1)
    assert Journal(region).newest == PAGES + 1 and Journal(region).oldest == 16


def test_last_pages_are_for_the_end_of_what_has_begun(region):
    journal = Journal(region)
    while journal.room():
        fill(journal, 1, size=WHOLE_PAGE)
    assert journal.free == RESERVE
    with pytest.raises(JournalFull):
        fill(journal, 1, kind=7)
    fill(journal, RESERVE, size=WHOLE_PAGE)
    assert journal.free == 0


def test_quarter_hours_give_way_first_and_are_counted(region):
    journal = Journal(region)
    while journal.dropped == 0:
        fill(journal, 1, kind=7, size=WHOLE_PAGE)
    assert journal.dropped == 15 and journal.oldest == 16
    assert journal.unacknowledged == journal.newest - 15
    assert Journal(region).dropped == 15


def test_sector_with_evidence_stays_with_its_quarter_hours(region):
    journal = Journal(region)
    fill(journal, 3, kind=7, size=WHOLE_PAGE)
    fill(journal, 1, kind=16, size=WHOLE_PAGE)
    with pytest.raises(JournalFull):
        fill(journal, 2 * PAGES, kind=7, size=WHOLE_PAGE)
    assert journal.dropped == 0 and journal.oldest == 1
    journal.acknowledge(4, missing=[1, 2, 3])
    fill(journal, 12, kind=7, size=WHOLE_PAGE)
    assert journal.dropped == 3 + 11  # quarter hours 1..3 and 5..15
    assert journal.oldest == 16


def test_without_permission_append_does_not_erase(region, device):
    journal = Journal(region, erase_inline=False)
    fill(journal, 15, size=WHOLE_PAGE)
    erases = device.erases
    with pytest.raises(JournalFull):
        fill(journal, 1, size=WHOLE_PAGE)
    assert device.erases == erases and journal.newest == 15
    assert journal.erase_due() and journal.erase_ahead() and not journal.erase_ahead()
    fill(journal, 1, size=WHOLE_PAGE)
    assert device.erases == erases + 1 and journal.late_erases == 0


# -- cuts and damage (tests/faults has them all)


@pytest.mark.parametrize("size", [30, MAX_SEALED])
@pytest.mark.parametrize("torn_bytes", [0, 1, 2, 7, 8, 40, 250])
def test_torn_write_is_passed_over_and_its_number_given_to_the_next(
    region, device, torn_bytes, size
):
    journal = Journal(region)
    fill(journal, 3)
    device.tear_after = torn_bytes
    with pytest.raises(OSError):
        journal.append(4, 16, b"\x5a" * size)
    mounted = Journal(region)
    if torn_bytes == 250 and size == 30:
        assert mounted.newest == 4 and mounted.read(4) == b"\x5a" * 30  # it had come to its end
        return
    assert mounted.newest == 3
    mounted.append(4, 16, b"whole")
    again = Journal(region)
    assert again.newest == 4
    assert again.read(4) == b"whole"
    assert [again.read(seq) for seq in (1, 2, 3)] == [sealed(seq) for seq in (1, 2, 3)]


def test_failed_write_does_not_end_the_session(region, device):
    journal = Journal(region)
    fill(journal, 3)
    device.tear_after = 20
    with pytest.raises(OSError):
        journal.append(4, 16, b"\x5a" * 30)
    assert journal.newest == 3
    fill(journal, 2)
    for mounted in (journal, Journal(region)):
        assert [mounted.read(seq) for seq in (3, 4, 5)] == [sealed(seq) for seq in (3, 4, 5)]


def test_write_that_does_not_read_back_is_repeated_elsewhere(region, device):
    journal = Journal(region)
    fill(journal, 1)
    whole = device.writeblocks

    def worn(block, buf, offset=None):
        device.writeblocks = whole
        spoilt = bytearray(buf)
        spoilt[spoilt.index(b"record")] &= 0x0F
        whole(block, spoilt, offset)

    device.writeblocks = worn
    fill(journal, 1)
    assert journal.failed == 1
    assert Journal(region).read(2) == sealed(2)


def test_start_after_start_without_a_record_uses_nothing_up(region):
    fill(Journal(region), 3)
    free = Journal(region).free
    for _ in range(100):
        mounted = Journal(region)
    assert mounted.free == free and mounted.newest == 3


def test_settling_ahead_leaves_one_program_to_the_first_record(region, device):
    fill(Journal(region), 3)
    mounted = Journal(region)
    mounted.settle()
    before = (device.programs, device.erases)
    fill(mounted, 1)
    assert (device.programs, device.erases) == (before[0] + 1, before[1])
