"""Market precision, once and at the end: totals half up, groups by largest remainder (R14)."""

from typing import Any

from clsbench.settlement.largest import share_out
from clsbench.settlement.slots import Slot


def market_kwh(slot: Slot, unit_scaler: int, decimals: int) -> dict[str, Any] | None:
    """Total and groups of a quarter hour in kWh as decimal text; None while it is missing."""
    if slot.total is None:
        return None
    factor, divisor = _ratio(unit_scaler, decimals)
    total = _half_up(slot.total * factor, divisor)
    shares = share_out(slot.groups(), divisor, factor, total)
    return {
        "total": _decimal(total, decimals),
        "groups": {group: _decimal(shares[group], decimals) for group in sorted(shares)},
    }


def drift(slots: list[Slot], unit_scaler: int, decimals: int) -> dict[str, str]:
    """Per direction: sum of the rounded quarter hours less the rounded sum, in kWh."""
    factor, divisor = _ratio(unit_scaler, decimals)
    sums: dict[str, tuple[int, int]] = {}
    for slot in slots:
        if slot.total is not None:
            exact, rounded = sums.get(slot.direction, (0, 0))
            each = _half_up(slot.total * factor, divisor)
            sums[slot.direction] = (exact + slot.total, rounded + each)
    return {
        direction: _decimal(rounded - _half_up(exact * factor, divisor), decimals)
        for direction, (exact, rounded) in sums.items()
    }


def _ratio(unit_scaler: int, decimals: int) -> tuple[int, int]:
    """factor, divisor: energy * factor / divisor = last market digits."""
    power = unit_scaler - 3 + decimals
    return (10**power, 1) if power >= 0 else (1, 10**-power)


def _half_up(numerator: int, divisor: int) -> int:
    """Commercial rounding (DIN 1333) of a value >= 0."""
    return (2 * numerator + divisor) // (2 * divisor)


def _decimal(units: int, decimals: int) -> str:
    sign, digits = ("-" if units < 0 else ""), str(abs(units)).rjust(decimals + 1, "0")
    return sign + (f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits)
