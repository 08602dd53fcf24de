"""Every worked case of `cases/`: by hand in words and figures, and what the core makes of it."""

import pytest
import worked

from clsbench.settlement.core import settle
from clsbench.settlement.findings import CODES

CASES = worked.cases()


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_worked_case(case):
    result = settle(worked.document(case))
    assert result.get("unit_scaler", 0) == case.get("unit_scaler", case.get("scaler", 0))
    if "slots" in case:
        expected = sorted(worked.words(line, 5) for line in case["slots"])
        assert sorted(map(worked.slot_line, result["slots"])) == expected
    expected = sorted(worked.words(line, 3) for line in case.get("transactions", []))
    assert sorted(map(worked.transaction_line, result["transactions"])) == expected
    found = {finding["code"] for finding in result["findings"]}
    assert found == set(case.get("findings", []))
    for line in case.get("market", []):
        assert worked.words(line, 3) in [
            worked.market_line(slot) for slot in result["slots"] if slot["market_kwh"]
        ]
    if "totals" in case:
        totals = [[name, *sorted(_pairs(own))] for name, own in result["totals"].items()]
        assert sorted(totals) == sorted(worked.words(line, 1) for line in case["totals"])
    if "days" in case:
        lines = [line for day in result["days"] for line in worked.day_lines(day)]
        assert lines == [worked.words(line, 5) for line in case["days"]]
    if "month" in case:
        month = {name: text or "null" for name, text in result["month"].items()}
        assert {name: month[name] for name in case["month"]} == case["month"]
    if "drift" in case:
        assert result["market_drift_kwh"] == case["drift"]


def test_there_is_a_case_for_each_rule_and_each_finding():
    assert {case["rule"] for case in CASES} == {f"R{number}" for number in range(1, 17)}
    told = {code for case in CASES for code in case.get("findings", [])}
    assert told == set(CODES)
    assert len(CASES) >= 60 and len({case["id"] for case in CASES}) == len(CASES)


def _pairs(own):
    return [f"{group}={energy}" for group, energy in own.items()]
