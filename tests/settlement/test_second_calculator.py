"""The core against a calculator of another make, and the properties every settlement keeps."""

import copy
from datetime import datetime
from fractions import Fraction
from random import Random

import pytest
import second
import worked
from hypothesis import given, settings
from hypothesis import strategies as st
from random_points import random_point

from clsbench.settlement.core import settle
from clsbench.settlement.times import format_ms, parse_ms

SEEDS = st.integers(0, 2**48)
QUARTER_MS = 900_000
HAND = [c for c in worked.cases() if "mode" not in c and "changes" not in c]


def shares(result):
    """As the second calculator tells them: Fractions of a kWh by instant and direction."""
    unit = Fraction(10) ** (result["unit_scaler"] - 3)
    found = {}
    for slot in result["slots"]:
        key = (datetime.fromisoformat(slot["start"]), slot["direction"])
        parts = {(p["group"], p["uuid"]): p["energy"] * unit for p in slot["parts"]}
        found[key] = None if slot["total"] is None else (parts, slot["state"] == "faulty")
    return found


def expected(document):
    told = second.shares(document)
    return {key: None if one is None else (one[0], bool(one[1])) for key, one in told.items()}


@given(SEEDS)
@settings(max_examples=250, deadline=None)
def test_two_calculators_agree_on_faulty_points(seed):
    document = random_point(Random(seed))
    assert shares(settle(document)) == expected(document)


@given(SEEDS)
@settings(max_examples=60, deadline=None)
def test_two_calculators_agree_on_sound_points(seed):
    document = random_point(Random(seed), sound=True)
    result = settle(document)
    assert shares(result) == expected(document)
    assert all(slot["quality"] == "measured" for slot in result["slots"])


@pytest.mark.parametrize("case", HAND, ids=[case["id"] for case in HAND])
def test_the_second_calculator_solves_the_worked_cases(case):
    document = worked.document(case)
    assert shares(settle(document)) == expected(document)


@given(SEEDS)
@settings(max_examples=100, deadline=None)
def test_parts_are_positive_and_add_up_to_two_readings(seed):
    document = random_point(Random(seed), sound=True)
    result = settle(document)
    unit = result["unit_scaler"]
    for series in document["input"]["series"]:
        name = "import" if ":1.8.0" in series["obis"] else "export"
        values = [r["raw"] * 10 ** (series["scaler"] - unit) for r in series["readings"]]
        slots = [slot for slot in result["slots"] if slot["direction"] == name]
        for slot in slots:
            energies = [part["energy"] for part in slot["parts"]]
            assert sum(energies) == slot["total"] and all(energy > 0 for energy in energies)
        assert sum(slot["total"] for slot in slots) == max(values) - min(values)
        assert sum(result["totals"][name].values()) == max(values) - min(values)


@given(SEEDS)
@settings(max_examples=100, deadline=None)
def test_order_of_input_is_irrelevant(seed):
    document = random_point(Random(seed))
    shuffled = copy.deepcopy(document)
    body = shuffled["input"]
    for entries in (body["events"], body["series"], *(s["readings"] for s in body["series"])):
        Random(seed + 1).shuffle(entries)
    assert _without_places(settle(shuffled)) == _without_places(settle(document))


@given(SEEDS, st.integers(1, 9))
@settings(max_examples=100, deadline=None)
def test_splitting_the_window_anywhere_gives_the_same_quarter_hours(seed, cut):
    document = random_point(Random(seed))
    whole = settle(document)
    start = parse_ms(document["input"]["window"]["from"], "from")
    end = parse_ms(document["input"]["window"]["to"], "to")
    middle = min(start + cut * QUARTER_MS, end)
    halves = []
    for low, high in ((start, middle), (middle, end)):
        part = copy.deepcopy(document)
        part["input"]["window"] = {"from": format_ms(low), "to": format_ms(high)}
        halves += settle(part)["slots"]
    assert sorted(map(repr, halves)) == sorted(map(repr, whole["slots"]))


@pytest.mark.parametrize(
    ("start", "end", "quarters"),
    [
        ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", 92),
        ("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", 100),
        ("2026-05-04T22:00:00Z", "2026-05-05T22:00:00Z", 96),
    ],
)
def test_days_of_both_changes_of_the_clock(start, end, quarters):
    first = parse_ms(start, "start")
    readings = [
        {"t": format_ms(first + index * QUARTER_MS), "raw": index * index}
        for index in range(quarters + 1)
    ]
    series = {"meter_id": "M", "obis": "1-0:1.8.0", "scaler": 0, "unit": "Wh"}
    body = {
        "mode": "sections",
        "window": {"from": start, "to": end},
        "groups": {"rest": "R", "delta": "D"},
        "series": [{**series, "readings": readings}],
    }
    (day,) = settle({"schema": 1, "input": body})["days"]
    assert day["import"] == {
        "slots": quarters,
        "missing": 0,
        "total": quarters * quarters,
        "groups": {"R": quarters * quarters},
    }


def _without_places(result):
    """Places name entries of the input, which a shuffle moves."""
    findings = [
        {key: each[key] for key in ("code", "at", "uuid", "direction")}
        for each in result["findings"]
    ]
    return {**result, "findings": sorted(findings, key=repr)}
