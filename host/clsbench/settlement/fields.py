"""Fields of a JSON document, checked: every refusal names the place, what is there, what to do."""

from collections.abc import Iterator, Mapping
from typing import Any

from clsbench.errors import BadInput

MAX_SCALER = 18  # 10^18 Wh: beyond any meter, and bounds the integers
MAX_RAW = 10**30


def table(value: object, place: str) -> Mapping[str, Any]:
    """The value as an object; an absent one (None) is empty."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise BadInput(f"{place}: expected an object, found {_kind(value)}")
    return value


def rows(holder: Mapping[str, Any], name: str, place: str) -> Iterator[tuple[str, Any]]:
    """(place, object) of each entry of a list of objects; an absent list is empty."""
    value = holder.get(name)
    if value is None:
        return
    if not isinstance(value, list | tuple):
        raise BadInput(f"{place}{name}: expected a list, found {_kind(value)}")
    for index, entry in enumerate(value):
        where = f"{place}{name}[{index}]"
        if not isinstance(entry, Mapping):
            raise BadInput(f"{where}: expected an object, found {_kind(entry)}")
        yield where, entry


def whole(value: object, place: str, low: int = -MAX_RAW, high: int = MAX_RAW) -> int:
    """A whole number within bounds; 3.0 and true are none."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadInput(f"{place}: expected a whole number, found {value!r}")
    if not low <= value <= high:
        raise BadInput(f"{place}: {value} is not within {low} to {high}")
    return value


def scaler(value: object, place: str) -> int:
    """A power of ten of Wh; absent (None) is 0."""
    return 0 if value is None else whole(value, place, -MAX_SCALER, MAX_SCALER)


def text(value: object, place: str) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value:
        raise BadInput(f"{place}: expected a text, found {value!r}")
    return value


def optional_text(value: object, place: str) -> str | None:
    """A text, or None where absent or empty."""
    return None if value is None or value == "" else text(value, place)


def one_of(value: object, place: str, choices: tuple[str, ...]) -> str:
    """One of the words."""
    if value not in choices:
        raise BadInput(f"{place}: {value!r} is unknown. Choose one of: {', '.join(choices)}")
    return str(value)


def _kind(value: object) -> str:
    return f"{type(value).__name__} {value!r}"[:60]
