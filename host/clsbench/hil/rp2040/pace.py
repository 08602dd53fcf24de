"""Keeps an emulated board's time beside the wall's. Knows both clocks; lets neither pass."""

import time
from collections.abc import Callable
from typing import Protocol


class Runner(Protocol):
    """The board: lets time pass."""

    def now(self) -> float: ...
    def sleep(self, seconds: float) -> None: ...


class Pace:
    """Both clocks count from when this is made. What the board lost is made up for, up to
    behind_s: more than that behind the wall's clock is left behind, and both count anew."""

    def __init__(
        self, board: Runner, behind_s: float, wall_s: Callable[[], float] = time.monotonic
    ):
        self._board = board
        self._wall_s = wall_s
        self._behind_s = behind_s
        self._begin()

    def ahead_s(self) -> float:
        """By how much the board's time is ahead of the wall's; below zero: behind."""
        ahead = self._board.now() - self._begun - (self._wall_s() - self._begun_wall)
        if ahead < -self._behind_s:
            self._begin()
            return 0.0
        return ahead

    def _begin(self) -> None:
        self._begun_wall, self._begun = self._wall_s(), self._board.now()
