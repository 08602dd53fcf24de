"""What the fault scripts of played meters have in common: the compact text, and whose turn it is.

Pure: counts what it is asked about. Kinds of misbehaviour and what becomes of the bytes are the
business of each protocol's script (`fault_script`, `sml_faults`, `mbus_faults`).
"""

import difflib
import random
from collections.abc import Collection
from typing import Any, Generic, Protocol, TypeVar

from clsbench.errors import BadInput

FOREVER = 1 << 60


class _Step(Protocol):
    @property
    def kind(self) -> str: ...
    @property
    def after(self) -> int: ...
    @property
    def count(self) -> int: ...


S = TypeVar("S", bound=_Step)


class StepScript(Generic[S]):
    """The steps of one run. `next_step` is asked once for every request or telegram.

    repeat: begin anew after the last step. seed: of what is random, which so repeats with every
    run. applied: kind -> number of those spoiled so far.
    """

    def __init__(self, steps: list[S] | None = None, repeat: bool = False, seed: int = 0):
        self.applied: dict[str, int] = {}
        self._steps = list(steps or [])
        self._repeat = repeat
        self._random = random.Random(seed)
        self._at = self._waited = self._done = 0

    def next_step(self) -> S | None:
        """The misbehaviour that meets this one, or None."""
        if self._at >= len(self._steps):
            return None
        step = self._steps[self._at]
        if self._waited < step.after:
            self._waited += 1
            return None
        self._done += 1
        if self._done >= step.count:
            self._at, self._waited, self._done = self._at + 1, 0, 0
            if self._repeat:
                self._at %= len(self._steps)
        self.applied[step.kind] = self.applied.get(step.kind, 0) + 1
        return step


def check_kind(kind: str, known: Collection[str]) -> None:
    """Raises BadInput where there is no such kind."""
    if kind in known:
        return
    near = difflib.get_close_matches(str(kind), known, n=1)
    hint = f" Nearest: {near[0]}." if near else ""
    raise BadInput(f"fault kind '{kind}' is unknown.{hint} All: {', '.join(known)}")


def split_script(text: str) -> tuple[list[str], bool]:
    """The steps of a compact text, and whether a last one `repeat` begins anew."""
    parts = [part.strip() for part in text.split(";") if part.strip()]
    repeat = bool(parts) and parts[-1] == "repeat"
    return parts[: -1 if repeat else None], repeat


def read_step(
    text: str, keys: Collection[str], kinds: Collection[str]
) -> tuple[str, dict[str, int]]:
    """The kind and the numbers of a step's text. Raises BadInput with the place."""
    found: dict[str, str] = {}
    for word in text.split():
        key, equals, value = word.partition("=")
        if not equals or key not in keys:
            raise BadInput(f"fault script '{text}': '{word}': one of {', '.join(keys)}= is wanted")
        found[key] = value
    kind = found.pop("kind", None)
    if kind is None:
        raise BadInput(f"fault script '{text}': kind= is missing. Kinds: {', '.join(kinds)}")
    try:
        return kind, {key: count_of(word) for key, word in found.items()}
    except ValueError as error:
        raise BadInput(f"fault script '{text}': a number is wanted: {error}") from error


def count_of(value: Any) -> int:
    """A number of a script; `forever` never ends. Raises ValueError."""
    return FOREVER if value == "forever" else int(value)
