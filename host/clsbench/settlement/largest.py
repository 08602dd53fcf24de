"""Largest remainder: whole units shared so that they add up to a whole total."""

from collections.abc import Mapping


def share_out(weights: Mapping[str, int], divisor: int, factor: int, total: int) -> dict[str, int]:
    """floor(weight * factor / divisor) each, the rest of `total` to the largest remainders.

    Ties go to the name that sorts first (R14, R15). weights >= 0, divisor > 0; total lies between
    the sum of the floors and the number of names above it.
    """
    floors = {name: weight * factor // divisor for name, weight in weights.items()}
    remainders = {name: weight * factor % divisor for name, weight in weights.items()}
    order = sorted(weights, key=lambda name: (-remainders[name], name))
    for name in order[: total - sum(floors.values())]:
        floors[name] += 1
    return floors
