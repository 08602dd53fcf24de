"""Random metering points, most of them faulty: what a bad week on a bad line may deliver.

A true register is simulated first, then read, switched and spoilt. `sound=True` spoils nothing.
"""

import json
from datetime import UTC, datetime, timedelta, timezone
from random import Random

QUARTER = 900_000
STARTS = (  # a plain day, and the hours around both changes of the clock
    datetime(2026, 5, 4, 8, tzinfo=UTC),
    datetime(2026, 3, 28, 22, tzinfo=UTC),
    datetime(2026, 10, 24, 21, 30, tzinfo=UTC),
)
OBIS = {"import": "1-0:1.8.0", "export": "1-0:2.8.0"}
METER = "1EAS0012345678"


def text(at_ms: int, random: Random) -> str:
    """An instant, with Z or with one offset or the other."""
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
    hours = random.choice((0, 0, 1, 2, -5))
    if hours:
        return at.astimezone(timezone(timedelta(hours=hours))).isoformat()
    return at.isoformat().replace("+00:00", "Z")


class Point:
    """Simulates one metering point. Registers in units of 10^-1 Wh, true at every millisecond."""

    def __init__(self, random: Random, sound: bool):
        self.random = random
        self.faulty = not sound
        start = random.choice(STARTS)
        self.start_ms = int(start.timestamp()) * 1000
        self.quarters = random.randint(1, 10)
        self.end_ms = self.start_ms + self.quarters * QUARTER
        self.directions = random.choice((("import",), ("import", "export"), ("export",)))
        self.powers = {
            name: [random.choice((0, 0, 1, 7, 60, 900)) for _ in range(2 * self.quarters + 4)]
            for name in self.directions
        }
        self.first = {name: random.randint(0, 10**6) for name in self.directions}

    def maybe(self, chance: float) -> bool:
        """A fault strikes."""
        return self.faulty and self.random.random() < chance

    def register(self, name: str, at_ms: int) -> int:
        """The true register at an instant, in 0.1 Wh; power changes every half quarter hour."""
        half = QUARTER // 2
        elapsed = max(0, at_ms - self.start_ms + QUARTER)
        whole, rest = divmod(elapsed, half)
        powers = self.powers[name]
        whole = min(whole, len(powers) - 1)
        return self.first[name] + sum(powers[:whole]) + powers[whole] * min(rest, half) // half

    def series(self, name: str) -> dict:
        """The quarter-hour readings of one direction."""
        readings = []
        fall = self.random.randrange(self.quarters + 1) if self.maybe(0.08) else None
        offset = 0
        for index in range(self.quarters + 1):
            due_ms = self.start_ms + index * QUARTER
            if self.maybe(0.07):
                continue
            captured = due_ms + self.random.choice((0, 0, 0, -1000, 900, 8999, -9000))
            if self.maybe(0.04):
                captured += self.random.choice((9001, -20_000, 37_000))
            if index == fall:
                offset = -self.random.randint(1, 200)
            raw = self.register(name, captured) + offset
            entry: dict = {"raw": raw}
            form = self.random.randrange(3)
            if form < 2:
                entry["t"] = text(due_ms, self.random)
            if form > 0:
                entry["captured"] = text(captured, self.random)
            elif captured != due_ms:
                entry["raw"] = self.register(name, due_ms) + offset
            if self.maybe(0.15):
                entry["ptb"] = self.random.choice((0, 1, 1, 2, 2, 3, 3, 4))
            readings.append(entry)
            if self.maybe(0.05):
                readings.append({**entry, "raw": entry["raw"] + self.random.choice((0, 0, 3))})
        obis = OBIS[name] + self.random.choice(("", "*255"))
        head = {"meter_id": METER, "obis": obis, "scaler": -1, "unit": "Wh"}
        return {**head, "readings": readings}

    def event(self, seq: int, kind: str, uuid: str | None, at_ms: int) -> dict:
        """A record of an event, with what may be wrong with one."""
        values = []
        for name in self.directions:
            raw = self.register(name, at_ms)
            if self.maybe(0.04):
                raw += self.random.choice((-500, -3, 2, 400))
            if not self.maybe(0.04):
                scaler = self.random.choice((-1, -1, -1, -2))
                raw *= 10 ** (-1 - scaler)
                values.append({"obis": OBIS[name], "raw": raw, "scaler": scaler})
        event = {"seq": seq, "kind": kind, "uuid": uuid, "t": text(at_ms, self.random)}
        event |= {"meter_id": METER, "cls_id": "ECLS0000000017", "values": values}
        if self.maybe(0.06):
            event["ptb"] = self.random.choice((1, 2, 3, 3, 4))
        if self.maybe(0.05):
            event["time_valid"] = False
        return event

    def events(self) -> tuple[list[dict], list[str], int]:
        """Records in their true order, what was open at the start, the last number before."""
        seq = self.random.randint(1, 50)
        last = seq - 1
        found: list[dict] = []
        open_now: list[str] = []
        names = [f"0000000{index}-6d0a-4c3e-9a3f-0c8f5b1d2e01" for index in range(1, 7)]
        open_at_start = [names[0]] if self.random.random() < 0.2 else []
        open_now += open_at_start
        unused = names[len(open_at_start) :]
        for at_ms in self._instants():
            kind, uuid = self._next(open_now, unused)
            record = self.event(seq, kind, uuid, at_ms)
            if not self.maybe(0.06):
                found.append(record)
                if self.maybe(0.04):
                    found.append(json.loads(json.dumps(record)))
            elif self.maybe(0.5):
                seq -= 1  # lost before it got a number
            seq += 1
        return found, open_at_start, last

    def _instants(self) -> list[int]:
        count = self.random.randint(0, 8)
        steps = []
        for _ in range(count):
            at_ms = self.random.randint(self.start_ms, self.end_ms - 1)
            if self.random.random() < 0.2:
                at_ms -= at_ms % QUARTER
            steps.append(at_ms)
            if self.maybe(0.03):
                steps.append(at_ms)  # two records of one instant
        return sorted(steps)

    def _next(self, open_now: list[str], unused: list[str]) -> tuple[str, str | None]:
        if self.random.random() < 0.1:
            return self.random.choice(("change", "tamper", "boot")), None
        if open_now and not self.maybe(0.15):
            return "end", open_now.pop()
        if self.maybe(0.05) and open_now:
            return "begin", open_now[-1]
        if not unused or self.maybe(0.03):
            return "end", unused.pop() if unused and self.faulty else "nobody"
        open_now.append(unused.pop(0))
        return "begin", open_now[-1]


def random_point(random: Random, sound: bool = False) -> dict:
    """An input document of mode `sections`."""
    point = Point(random, sound)
    series = [point.series(name) for name in point.directions]
    events, open_at_start, last = point.events()
    for entry in (events, *(each["readings"] for each in series)):
        random.shuffle(entry)
    groups = {f"0000000{n}-6d0a-4c3e-9a3f-0c8f5b1d2e01": f"BK-{n % 3}" for n in range(1, 5)}
    body = {
        "mode": "sections",
        "timezone": "Europe/Berlin",
        "window": {"from": text(point.start_ms, random), "to": text(point.end_ms, random)},
        "groups": {"rest": "BK-HOME", "delta": "BK-DELTA", "by_uuid": groups},
        "policy": {"substitute": random.choice(("none", "linear"))},
        "series": series,
        "events": events,
        "open_at_start": open_at_start,
    }
    if random.random() < 0.5:
        body["last_number_before"] = last
    return {"schema": 1, "id": "random", "input": body}
