"""The report's settlement: sections, groups and sharing by time out of the result document."""

import copy

import pytest
from demo_kit import A, B, evidence
from report_kit import full_log, page

from clsbench.demo.settlement import DELTA, FLEX, REST, settlements


def repr_short(value):
    return repr(value)[:9]


@pytest.fixture(scope="module")
def told():
    return settlements(evidence())


@pytest.fixture
def log(tmp_path):
    return full_log(tmp_path / "events.jsonl")


@pytest.mark.parametrize("witness", ["gateway", "device"])
def test_sections_and_groups_add_up_to_each_quarter_hour(told, witness):
    one = told[witness]
    assert (one["rest"], one["delta"], one["findings"]) == (REST, DELTA, [])
    for slot in (slot for each in one["directions"] for slot in each["slots"]):
        assert slot["state"] == "settled"
        energies = [section["to"] - section["from"] for section in slot["sections"]]
        assert sum(energies) == slot["total"] == sum(slot["groups"].values())
        assert sum(slot["by_time"].values()) == slot["total"]


def test_sections_of_a_transaction_add_up_to_its_energy(told):
    device = told["device"]
    sums = {A: 0, B: 0}
    for slot in device["directions"][0]["slots"]:
        for section in slot["sections"]:
            if section["uuid"] is not None:
                sums[section["uuid"]] += section["to"] - section["from"]
    energies = {one["uuid"]: one["energy"]["import"] for one in device["transactions"]}
    assert sums == energies and all(energies.values())
    assert {one["group"] for one in device["transactions"]} == set(FLEX)


def test_the_page_shows_sections_groups_and_what_sharing_by_time_would_book(told, log):
    text = page(log, {"settlement": told})
    assert text.count("mean power of each section") == 2
    for words in (*FLEX, REST, "by time ", "would be booked in another group", A, B):
        assert words in text
    assert "No settlement" not in text
    assert "No settlement in the result document." in page(log, {})


def test_a_witness_that_cannot_be_settled_says_why(log):
    none = settlements(evidence(gateway=[]))
    assert "no readings" in none["gateway"]["error"] and "slots" in str(none["device"])
    text = page(log, {"settlement": none})
    assert "Not settled: no readings" in text


@pytest.mark.parametrize("bad", [None, "<script>", {}, 10**400], ids=repr_short)
def test_a_document_of_another_form_is_passed_over(told, log, bad):
    seen = 0
    for path in _paths(told["device"]):
        broken = copy.deepcopy(told["device"])
        holder = broken
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = bad
        text = page(log, {"settlement": {"device": broken}})
        assert "<script>alert" not in text and text.count("<script") == 1
        seen += 1
    assert seen > 20
    for whole in (bad, {"device": bad}, {"gateway": bad, "other": bad}):
        assert "No settlement" in page(log, {"settlement": whole}) or whole == {}


def _paths(value, depth=0):
    """Ways to one entry of each key, the first of every list."""
    entries = value.items() if isinstance(value, dict) else enumerate(value[:1])
    for key, inner in entries:
        yield (key,)
        if isinstance(inner, dict | list) and inner and depth < 7:
            yield from ((key, *rest) for rest in _paths(inner, depth + 1))
