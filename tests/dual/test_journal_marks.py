"""How far records were marked, gaps included. Runs on both interpreters."""

from dicamm.store.journal_marks import LIMIT, Marks


def open_of(marks, newest):
    return [seq for seq in range(1, newest + 1) if not marks.has(seq)]


def test_everything_up_to_a_number():
    marks = Marks()
    assert (marks.floor, marks.to) == (0, 0)
    marks.all_to(5)
    assert marks.floor == 5 and open_of(marks, 7) == [6, 7]
    marks.all_to(3)
    assert marks.floor == 5


def test_gaps_stay_open_until_they_are_marked():
    marks = Marks()
    marks.all_to(8, (5, 3, 12))
    assert open_of(marks, 9) == [3, 5, 9] and marks.floor == 2
    marks.all_to(8, (5,))
    assert open_of(marks, 9) == [5, 9] and marks.floor == 4
    marks.all_to(6)
    assert open_of(marks, 9) == [9] and marks.floor == 8


def test_gap_above_a_smaller_number_is_not_touched_by_it():
    marks = Marks()
    marks.all_to(9, (7,))
    marks.all_to(5)
    assert open_of(marks, 9) == [7]


def test_one_at_a_time():
    marks = Marks()
    marks.one(4, [2, 3])
    assert open_of(marks, 4) == [2, 3] and marks.floor == 1
    marks.one(2, [])
    assert open_of(marks, 4) == [3] and marks.floor == 2
    marks.one(3, [])
    assert open_of(marks, 5) == [5] and marks.floor == 4


def test_more_gaps_than_are_remembered_leave_more_open_never_less():
    marks = Marks()
    gaps = list(range(2, 200, 2))
    marks.all_to(200, gaps)
    assert len(marks.missing) == LIMIT
    still_open = open_of(marks, 200)
    assert all(gap in still_open for gap in gaps)
    assert marks.to == gaps[LIMIT] - 1


def test_what_is_gone_is_no_gap():
    marks = Marks()
    marks.all_to(10, (2, 6))
    marks.begin_at(4)
    assert marks.missing == [6]
    marks.begin_at(20)
    assert marks.missing == [] and marks.floor == 19


def test_count_of_open_numbers_in_a_range():
    marks = Marks()
    marks.all_to(10, (2, 6))
    assert marks.open_between(1, 11) == 2
    assert marks.open_between(3, 14) == 4
    assert marks.open_between(11, 11) == 0
    assert marks.open_between(12, 15) == 3
