"""MicroPython's rp2, as far as drivers and boards use it."""

from collections.abc import Callable
from typing import Any

class Flash:
    def __init__(self, *, start: int, len: int) -> None: ...

class PIO:
    OUT_LOW: int

class StateMachine:
    def __init__(self, id: int, program: Any, *, freq: int, set_base: Any) -> None: ...
    def active(self, value: int) -> int: ...
    def put(self, value: int) -> None: ...

def asm_pio(*, set_init: int) -> Callable[[Callable[[], None]], Any]: ...
