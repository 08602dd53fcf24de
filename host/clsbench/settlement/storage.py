"""Storage split of one month, base case "storage only" (R16): mode `storage_split`.

Source: BNetzA MiSpeL draft (618-25-02), Anlage 1, second-hand; verify before any claim on it.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from clsbench.settlement import fields
from clsbench.settlement.findings import Finding

_REGISTERS = ("z1_import", "z1_export", "z2_import", "z2_export")
NUMBERS = (3, 4, 5, 6, 9, 10, 11, 12, 13, 14, 15, 16, 17, 19, 20, 21)


def settle_storage(body: Mapping[str, Any]) -> tuple[dict[str, str | None], list[Finding]]:
    """The month's formulas as exact fractions in text; all None where a quarter hour lacks."""
    quarters = []
    findings = []
    for place, entry in fields.rows(body, "quarters", ""):
        if any(entry.get(name) is None for name in _REGISTERS):
            findings.append(Finding("missing_boundary", place=place))
            continue
        quarters.append([fields.whole(entry[name], f"{place}.{name}", 0) for name in _REGISTERS])
    if findings:
        return {f"f{number}": None for number in NUMBERS}, findings
    return {name: _text(value) for name, value in month(quarters).items()}, []


def month(quarters: list[list[int]]) -> dict[str, Fraction | None]:
    """f3 to f21 of quarter hours [z1 import, z1 export, z2 import, z2 export], all >= 0."""
    f3, f4, f5, f6 = (
        (Fraction(sum(column)) for column in zip(*quarters, strict=True))
        if (quarters)
        else (Fraction(0),) * 4
    )
    f9 = Fraction(sum(min(z1, z2) for z1, _x1, z2, _x2 in quarters))
    f10 = f5 - f9
    f11 = Fraction(sum(min(x1, x2) for _z1, x1, _z2, x2 in quarters))
    f12 = max(f6 - f5, Fraction(0))
    f13 = max(f11 - f12, Fraction(0))
    f14 = f6 / f5 if f5 else None
    f15 = f14 * f10 if f14 is not None else Fraction(0)
    f16 = max(f13 - f15, Fraction(0))
    f17 = max(f5 - f6, Fraction(0))
    f19 = f16 * f17 / f6 if f6 else Fraction(0)
    f20 = min(f16 + f19, f3)
    values = (f3, f4, f5, f6, f9, f10, f11, f12, f13, f14, f15, f16, f17, f19, f20, f3 - f20)
    return {f"f{number}": value for number, value in zip(NUMBERS, values, strict=True)}


def _text(value: Fraction | None) -> str | None:
    return None if value is None else str(value)
