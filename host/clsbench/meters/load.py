"""The plant behind the meters: loads, what they draw, and the energy that has flowed.

A pure model: time comes in as bench UTC milliseconds and nothing is read or sent. All
arithmetic is in integers (W, ms, W*ms = mJ), so a run repeats to the last digit however
its time is cut. Knows no register, no phase and no bus.
"""

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from clsbench.errors import BadInput

HISTORY_LIMIT = 8192
W_MS_PER_WH = 3_600_000
_WATER_MJ_PER_LITRE_K = 4_186_000  # mJ to warm one litre of water by one kelvin

HistoryEntry = tuple[int, bool, int]
"""(t_ms, relay closed, power_w), valid until the next entry."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a meter of a feeder sees at one instant: energy since the start, power now."""

    t_ms: int
    energy_w_ms: int
    power_w: int


class Load:
    """A consumer whose power is constant within a step of a grid on UTC time.

    start_ms: where its time begins; None: at the first time it is told. Time never runs
    back: an earlier time than the present one changes nothing.
    """

    step_ms = 1000
    max_power_w = 0

    def __init__(self, start_ms: int | None = None):
        self.now_ms = start_ms
        self.energy_w_ms = 0
        self._history: deque[HistoryEntry] = deque(maxlen=HISTORY_LIMIT)

    @property
    def relay(self) -> bool:
        """Whether the load is connected."""
        return True

    @property
    def power_w(self) -> int:
        """Power drawn at `now_ms`. Each kind of load has its own."""
        raise NotImplementedError

    def advance(self, to_ms: int) -> None:
        """Lets time pass until `to_ms` (bench UTC); the energy is integrated exactly."""
        if self.now_ms is None:
            self.now_ms = to_ms
        if not self._history:
            self._note()
        while self.now_ms < to_ms:
            step_end = self.now_ms - self.now_ms % self.step_ms + self.step_ms
            span_ms = min(to_ms, step_end) - self.now_ms
            self.energy_w_ms += self.power_w * span_ms
            self._pass(span_ms)
            self.now_ms += span_ms
            if self.now_ms == step_end:
                self._end_step()
                self._note()

    def history(self) -> list[HistoryEntry]:
        """Every change of relay or power, oldest first; the last HISTORY_LIMIT of them."""
        return list(self._history)

    def _pass(self, span_ms: int) -> None:
        """`span_ms` within one step go by at the present power."""

    def _end_step(self) -> None:
        """A step of the grid is over: state, and with it power, may change."""

    def _note(self) -> None:
        assert self.now_ms is not None  # only called once time has begun
        entry = (self.now_ms, self.relay, self.power_w)
        last = self._history[-1] if self._history else None
        if last is not None and last[0] == self.now_ms:
            self._history.pop()  # two changes at one instant: the later one holds
            last = self._history[-1] if self._history else None
        if last is None or last[1:] != entry[1:]:
            self._history.append(entry)


class HeatingRod(Load):
    """An immersion heater in a hot-water tank, behind the relay and its own thermostat.

    power_w: rated power, drawn when warm. Cold, the resistance is lower and it draws
    `cold_excess_permille` more; that fades over `warm_up_ms` of heating and comes back
    over `cool_down_ms` without. The thermostat opens at `off_mc` (milli degrees Celsius)
    and closes again at `on_mc`; the tank of `tank_litre` loses `loss_mw_per_k` to a room
    at `room_mc`. Raises BadInput for values that make no sense.
    """

    def __init__(
        self,
        power_w: int = 6000,
        *,
        start_ms: int | None = None,
        cold_excess_permille: int = 40,
        warm_up_ms: int = 40_000,
        cool_down_ms: int = 120_000,
        tank_litre: int = 300,
        water_mc: int = 45_000,
        room_mc: int = 20_000,
        off_mc: int = 65_000,
        on_mc: int = 60_000,
        loss_mw_per_k: int = 2_500,
    ):
        super().__init__(start_ms)
        if power_w < 1 or tank_litre < 1 or warm_up_ms < 1 or cool_down_ms < 1:
            raise BadInput("heating rod: power, tank and warming times must be 1 or more")
        if min(cold_excess_permille, loss_mw_per_k) < 0 or not room_mc <= on_mc < off_mc:
            raise BadInput("heating rod: expected excess, loss >= 0 and room <= on < off")
        self._rated_w = power_w
        self._cold_w = power_w * cold_excess_permille // 1000
        self._warm_up_ms = warm_up_ms
        self._cool_down_ms = cool_down_ms
        self._room_mc, self._off_mc, self._on_mc = room_mc, off_mc, on_mc
        self._mj_per_k = tank_litre * _WATER_MJ_PER_LITRE_K
        self._loss_mw_per_k = loss_mw_per_k
        self._heat_mj = (water_mc - room_mc) * self._mj_per_k // 1000
        self._coldest = self._cold = warm_up_ms * cool_down_ms  # 0 is a warm rod
        self._demand = water_mc < off_mc
        self._closed = False
        self._on_ms = self._off_ms = self._gain_mj = 0  # within the present step
        self._excess_w = self._cold_w  # of the present step
        self.max_power_w = power_w + self._cold_w

    @property
    def relay(self) -> bool:
        """Whether the relay is closed."""
        return self._closed

    @property
    def power_w(self) -> int:
        """Power drawn now: none with the relay or the thermostat open."""
        return self._rated_w + self._excess_w if self._closed and self._demand else 0

    @property
    def water_mc(self) -> int:
        """Temperature of the water in milli degrees Celsius, at the last end of a step."""
        return self._room_mc + self._heat_mj * 1000 // self._mj_per_k

    def set_relay(self, closed: bool, at_ms: int) -> int:
        """Opens or closes the relay at `at_ms`, which may lie anywhere in a step.

        Returns the instant that counts: `at_ms`, or the present where that is later.
        """
        self.advance(at_ms)
        self._closed = closed
        self._note()
        assert self.now_ms is not None  # advance has begun time
        return self.now_ms

    def _pass(self, span_ms: int) -> None:
        power_w = self.power_w
        self._gain_mj += power_w * span_ms
        if power_w:
            self._on_ms += span_ms
        else:
            self._off_ms += span_ms

    def _end_step(self) -> None:
        self._exchange_heat(self._on_ms + self._off_ms)
        warmed = max(self._cold - self._on_ms * self._cool_down_ms, 0)
        self._cold = min(warmed + self._off_ms * self._warm_up_ms, self._coldest)
        self._excess_w = self._cold_w * self._cold // self._coldest
        self._on_ms = self._off_ms = self._gain_mj = 0

    def _exchange_heat(self, span_ms: int) -> None:
        loss_mw = self._loss_mw_per_k * (self.water_mc - self._room_mc) // 1000
        self._heat_mj += self._gain_mj - loss_mw * span_ms // 1000
        if self.water_mc >= self._off_mc:
            self._demand = False
        elif self.water_mc <= self._on_mc:
            self._demand = True


class BaseLoad(Load):
    """A household without its controllable device: the same every day, minute by minute.

    hourly_w: 24 powers in W, one for each UTC hour. On top come a refrigerator (90 W for
    15 of every 45 minutes) and small consumers that change from minute to minute.
    """

    step_ms = 60_000
    HOURLY_W = (
        *(140, 130, 120, 120, 130, 210, 420, 510, 380, 300, 290, 420),
        *(520, 360, 290, 280, 340, 560, 720, 680, 540, 430, 290, 190),
    )
    _FRIDGE_W = 90
    _SMALL_W = 61

    def __init__(self, hourly_w: Iterable[int] = HOURLY_W, *, start_ms: int | None = None):
        super().__init__(start_ms)
        self._hourly_w = tuple(hourly_w)
        if len(self._hourly_w) != 24 or min(self._hourly_w) < 0:
            raise BadInput(f"base load: expected 24 powers >= 0 W, got {self._hourly_w}")
        self.max_power_w = max(self._hourly_w) + self._FRIDGE_W + self._SMALL_W - 1

    @property
    def power_w(self) -> int:
        """Power drawn at `now_ms`."""
        minute = (self.now_ms or 0) // 60_000 % 1440
        fridge_w = self._FRIDGE_W if minute % 45 < 15 else 0
        return self._hourly_w[minute // 60] + fridge_w + minute * 37 % self._SMALL_W


class Feeder:
    """What flows through one meter: the sum of its loads. A load may stand in several feeders."""

    def __init__(self, loads: Iterable[Load]):
        self.loads = tuple(loads)

    def advance(self, to_ms: int) -> None:
        """Lets time pass for every load."""
        for load in self.loads:
            load.advance(to_ms)

    @property
    def power_w(self) -> int:
        """Power through the meter now."""
        return sum(load.power_w for load in self.loads)

    @property
    def energy_w_ms(self) -> int:
        """Energy since the start, in W*ms."""
        return sum(load.energy_w_ms for load in self.loads)

    @property
    def max_power_w(self) -> int:
        """No combination of states draws more."""
        return sum(load.max_power_w for load in self.loads)


class Plant:
    """All loads of a bench behind one lock: edges and meter requests come from other threads.

    rod: the load the relay switches. feeders: name -> Feeder, one per meter; without them
    there is one, `mid`, with the rod alone. All loads share one time, so that two meters
    of one plant never disagree about it.
    """

    def __init__(self, rod: HeatingRod, feeders: Mapping[str, Feeder] | None = None):
        self._rod = rod
        self._feeders = dict(feeders) if feeders else {"mid": Feeder([rod])}
        behind = (load for feeder in self._feeders.values() for load in feeder.loads)
        self._all = Feeder(dict.fromkeys((rod, *behind)))
        self._now_ms: int | None = None
        self._lock = threading.Lock()
        self.late_edges = 0
        self.latest_edge_ms = 0

    def advance(self, to_ms: int) -> int:
        """Lets time pass until `to_ms`; returns the plant's time, which never runs back."""
        with self._lock:
            return self._advance(to_ms)

    def set_relay(self, closed: bool, at_ms: int) -> int:
        """Switches the rod at `at_ms` and returns the instant from which it counts.

        An edge told after a reading of a later instant was given out cannot change that
        reading any more: it counts from then, `late_edges` counts it and `latest_edge_ms`
        keeps the largest delay.
        """
        with self._lock:
            now_ms = self._advance(at_ms)
            if now_ms > at_ms:
                self.late_edges += 1
                self.latest_edge_ms = max(self.latest_edge_ms, now_ms - at_ms)
            return self._rod.set_relay(closed, now_ms)

    def reading(self, feeder: str, at_ms: int) -> Reading:
        """Energy and power of a feeder at `at_ms`, or at the plant's present where that is later.

        Raises BadInput for an unknown feeder.
        """
        source = self._feeder(feeder)
        with self._lock:
            now_ms = self._advance(at_ms)
            return Reading(now_ms, source.energy_w_ms, source.power_w)

    def max_power_w(self, feeder: str) -> int:
        """Upper limit of a feeder's power. Raises BadInput for an unknown feeder."""
        return self._feeder(feeder).max_power_w

    @property
    def relay(self) -> bool:
        """Whether the relay is closed."""
        with self._lock:
            return self._rod.relay

    def history(self) -> list[HistoryEntry]:
        """The rod's changes: (t_ms, relay, power_w)."""
        with self._lock:
            return self._rod.history()

    def _feeder(self, name: str) -> Feeder:
        if name not in self._feeders:
            raise BadInput(f"plant has no feeder {name!r}; it has {sorted(self._feeders)}")
        return self._feeders[name]

    def _advance(self, to_ms: int) -> int:
        self._now_ms = to_ms if self._now_ms is None else max(to_ms, self._now_ms)
        self._all.advance(self._now_ms)
        return self._now_ms
