"""Many points as files of columns: round trip, tallies, and a late reading settled anew."""

import json
from random import Random

from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from random_points import random_point

from clsbench.cli.main import cli
from clsbench.cli.settle_fleet import load_columns, save_columns
from clsbench.settlement.columns import columns_of
from clsbench.settlement.document import read_point
from clsbench.settlement.fast import settle_columns, shares
from clsbench.settlement.late import settle_late
from clsbench.settlement.sections import settle_point

QUARTER_MS = 900_000


def points(count):
    found = []
    seed = 0
    while len(found) < count:
        point = read_point(random_point(Random(seed))["input"])
        seed += 1
        if columns_of(point).plain:
            found.append(point)
    return found


def test_fleet_adds_up_to_the_core(tmp_path):
    folder = tmp_path / "points"
    folder.mkdir()
    missing = faulty = 0
    energy = {"import": 0, "export": 0}
    for number, point in enumerate(points(12)):
        save_columns(folder / f"{number:03}.npz", columns_of(point))
        factor = 10 ** (point.unit_scaler + 2)
        for book in settle_point(point).books:
            missing += sum(slot.state == "missing" for slot in book.slots)
            faulty += sum(slot.state == "faulty" for slot in book.slots)
            energy[book.direction] += sum(slot.total or 0 for slot in book.slots) * factor
    command = ["settle", "fleet", str(folder), "--out", str(tmp_path / "out"), "--jobs", "2"]
    result = CliRunner().invoke(cli, [*command, "--json"], standalone_mode=False)
    assert result.exception is None, result.exception
    told = json.loads(result.stdout)
    assert (told["points"], told["missing"], told["faulty"]) == (12, missing, faulty)
    factor = 10 ** (told["unit_scaler"] + 2)
    for name, groups in told["sums"].items():
        assert sum(groups.values()) * factor == energy[name]
    lines = [p.read_text().splitlines() for p in (tmp_path / "out").glob("*.jsonl")]
    assert sum(map(len, lines)) == told["findings"]


def test_columns_of_a_file_settle_as_before_it(tmp_path):
    for point in points(6):
        before = columns_of(point)
        save_columns(tmp_path / "one.npz", before)
        after = load_columns(tmp_path / "one.npz")
        one, two = settle_columns(before), settle_columns(after)
        assert shares(before, one) == shares(after, two)


@given(st.integers(0, 2**48), st.integers(0, 20), st.booleans())
@settings(max_examples=120, deadline=None)
def test_a_late_reading_gives_what_the_whole_point_gives(seed, row, knows_the_course):
    columns = columns_of(read_point(random_point(Random(seed))["input"]))
    if not columns.plain:
        return
    whole = settle_columns(columns)
    for book in whole.books:
        own = columns.series[book.direction]
        if len(own.due_ms) == 0 or whole.by_core is not None:
            continue
        due_ms = int(own.due_ms[row % len(own.due_ms)])
        course = whole.course if knows_the_course else None
        late = settle_late(columns, book.direction, due_ms, course)
        (part,) = late.books
        first = (late.from_ms - whole.from_ms) // QUARTER_MS
        last = first + len(part.total)
        assert part.total.tolist() == book.total[first:last].tolist()
        assert part.state.tolist() == book.state[first:last].tolist()
        inside = (book.part_slot >= first) & (book.part_slot < last)
        assert part.part_energy.tolist() == book.part_energy[inside].tolist()
        assert part.part_slot.tolist() == (book.part_slot[inside] - first).tolist()
