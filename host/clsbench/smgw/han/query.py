"""The query parameters of the HAN's exports: read, checked, nothing guessed.

Each may stand once, unknown ones are refused: status 400 naming the parameter.
Source: BSI Detailspezifikationen 2.0 chapter 7.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from clsbench.errors import BadInput
from clsbench.smgw.core.logs import LEVEL_LETTERS
from clsbench.smgw.core.readings import full_obis
from clsbench.smgw.han.signing import DETACHED
from clsbench.smgw.han.times import iso_ms
from clsbench.smgw.rest import Call, HttpRefusal

ORIGINAL, DERIVED = "original", "derived"
DAY_MS = 86_400_000
DEFAULT_SPAN_MS = 31 * DAY_MS
MAX_SPAN_MS = 93 * DAY_MS
MAX_COUNT = 1_000_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Query:
    """What was asked for. from_ms inclusive, to_ms exclusive; count 0: no limit."""

    from_ms: int
    to_ms: int
    kind: str
    count: int
    obis: str | None
    level: str | None
    signed: bool


def read_query(call: Call, now_ms: int, *known: str) -> Query:
    """The query of a call; `known`: the parameters this resource has, without `q.`.

    Without q.totime up to now, without q.fromtime DEFAULT_SPAN_MS before it. Raises HttpRefusal.
    """
    given: dict[str, str] = {}
    for name, value in call.request.query.items():
        if name in given or name.removeprefix("q.") not in known or not name.startswith("q."):
            raise HttpRefusal(400, f"query parameter '{name[:40]}' is not known, or stands twice")
        given[name] = value

    def read(name: str, take: Callable[[str], T], default: T) -> T:
        text = given.get(f"q.{name}")
        if text is None:
            return default
        try:
            return take(text)
        except (ValueError, KeyError, OverflowError, BadInput) as error:
            raise HttpRefusal(400, f"query parameter 'q.{name}' is wrong") from error

    to_ms = read("totime", iso_ms, now_ms + 1)
    from_ms = read("fromtime", iso_ms, max(0, to_ms - DEFAULT_SPAN_MS))
    if to_ms - from_ms > MAX_SPAN_MS:
        raise HttpRefusal(400, f"more than {MAX_SPAN_MS // DAY_MS} days asked for")
    return Query(
        from_ms=from_ms,
        to_ms=to_ms,
        kind=read("type", _kind, ORIGINAL),
        count=read("count", _count, 0),
        obis=read("obis", full_obis, None),
        level=read("level", LEVEL_LETTERS.__getitem__, None),
        signed=read("signed", _signed, False),
    )


def _kind(text: str) -> str:
    if text not in (ORIGINAL, DERIVED):
        raise ValueError(text)
    return text


def _count(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text):
        raise ValueError(text)
    return min(int(text), MAX_COUNT)


def _signed(text: str) -> bool:
    if text != DETACHED:
        raise ValueError(text)
    return True
