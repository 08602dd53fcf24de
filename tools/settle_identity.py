"""Settles random faulty metering points and holds every quarter hour against the identity.

    nice -n 19 .venv/bin/python tools/settle_identity.py [COUNT [SEED]]

For each point: parts add up to the total and none is negative, the total is the difference of two
readings of the input where both are measured, transactions and findings have known names, and the
reversed input (every tenth) gives the same result. Prints figures; ends with the first document
that fails.
"""

import json
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "host"), str(ROOT / "tests")]

from settlement.random_points import random_point  # noqa: E402  # pyright: ignore[reportMissingImports]

from clsbench.settlement.core import settle  # noqa: E402
from clsbench.settlement.findings import CODES  # noqa: E402
from clsbench.settlement.times import parse_ms  # noqa: E402

STATES = {"settled", "faulty", "missing"}


def check(document: dict, counts: Counter) -> None:
    """Raises AssertionError where a rule is broken."""
    result = settle(document)
    registers = _registers(document["input"], result["unit_scaler"])
    for slot in result["slots"]:
        counts[f"slots {slot['state']}"] += 1
        assert slot["state"] in STATES
        if slot["total"] is None:
            assert slot["state"] == "missing" and not slot["parts"]
            continue
        energies = [part["energy"] for part in slot["parts"]]
        assert sum(energies) == slot["total"] and all(energy > 0 for energy in energies)
        start = parse_ms(slot["start"], "slot")
        low = registers.get((slot["direction"], start))
        high = registers.get((slot["direction"], start + 900_000))
        if low and high and slot["quality"] == "measured":
            assert any(b - a == slot["total"] for a in low for b in high)
            counts["slots held against two readings"] += 1
    for finding in result["findings"]:
        assert finding["code"] in CODES
        counts[f"finding {finding['code']}"] += 1
    doubtful = any(slot["state"] != "settled" for slot in result["slots"])
    named = ("complete", "begun_before_window", "not_billable")  # the last by status 2 alone
    odd = any(one["state"] not in named for one in result["transactions"])
    assert result["findings"] or not (doubtful or odd), "a doubt without a finding"
    if counts["inputs"] % 10 == 0:
        assert settle(_reversed(document)) == result or _places_aside(document, result)
        counts["inputs settled in reverse, too"] += 1


def _places_aside(document: dict, result: dict) -> bool:
    """Findings name places in the input, which move when it is reversed; the rest must not."""
    other = settle(_reversed(document))
    for each in (other, result):
        each["findings"] = sorted(
            {
                (f["code"], f["at"] or "", f["uuid"] or "", f["direction"] or "")
                for f in each["findings"]
            }
        )
    return other == result


def _reversed(document: dict) -> dict:
    copy = json.loads(json.dumps(document))
    body = copy["input"]
    for entries in (body["events"], body["series"], *(s["readings"] for s in body["series"])):
        entries.reverse()
    return copy


def _registers(body: dict, unit_scaler: int) -> dict[tuple[str, int], set[int]]:
    found: dict[tuple[str, int], set[int]] = {}
    for series in body["series"]:
        direction = "import" if ":1.8.0" in series["obis"] else "export"
        for reading in series["readings"]:
            at_ms = parse_ms(reading.get("t") or reading["captured"], "reading")
            due_ms = (at_ms + 450_000) // 900_000 * 900_000
            value = reading["raw"] * 10 ** (series["scaler"] - unit_scaler)
            found.setdefault((direction, due_ms), set()).add(value)
    return found


def main() -> int:
    """Runs; returns the exit code."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    counts: Counter = Counter()
    began = time.monotonic()
    for number in range(count):
        counts["inputs"] = number
        document = random_point(Random(seed * 1_000_000_007 + number))
        try:
            check(document, counts)
        except (AssertionError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            print(f"input {number} of seed {seed}: {error!r}\n{json.dumps(document)}")
            raise
        if (number + 1) % 50_000 == 0:
            print(f"{number + 1} inputs, {time.monotonic() - began:.0f} s", flush=True)
    print(f"{count} random faulty inputs, identity exact in all, {time.monotonic() - began:.0f} s")
    del counts["inputs"]
    for name in sorted(counts):
        print(f"  {counts[name]:>10}  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
