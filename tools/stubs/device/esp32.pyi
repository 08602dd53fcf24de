"""MicroPython's esp32, as far as drivers use it."""

from typing import Any

class Partition:
    TYPE_DATA: int
    @staticmethod
    def find(type: int, *, label: str) -> list[Any]: ...
    def info(self) -> tuple[int, int, int, int, str, bool]: ...
