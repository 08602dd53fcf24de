"""Two witnesses of one switching compared: the device's records and the gateway's.

Explains each difference by resolution of the registers, by capture time and power, or names it as
a fault. Works on two settled points; powers and bounds in integers.
"""

from dataclasses import dataclass

from clsbench.settlement.sections import Settled
from clsbench.settlement.transactions import Transaction

SAME, RESOLUTION, CAPTURE, FAULT, ALONE = "same", "resolution", "capture_time", "fault", "alone"
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Comparison:
    """Energies in units of 10^unit_scaler Wh; None where a witness has none.

    bound: what resolution and capture times may explain; shift_ms: how much longer the gateway's
    transaction lasted than the device's.
    """

    uuid: str
    direction: str
    device: int | None
    gateway: int | None
    unit_scaler: int
    difference: int | None
    resolution: int
    bound: int
    shift_ms: int
    cause: str

    def text(self) -> str:
        """The comparison in words."""
        unit = f"x 10^{self.unit_scaler} Wh"
        if self.cause == ALONE:
            who = "device" if self.gateway is None else "gateway"
            return f"{self.uuid} {self.direction}: only the {who} has an energy"
        why = {
            SAME: "no difference",
            RESOLUTION: f"within the registers' resolution of {self.resolution}",
            CAPTURE: f"within {self.bound}: capture times differ by {self.shift_ms} ms in all",
            FAULT: f"more than resolution and capture times explain ({self.bound}): a fault, or "
            "the two meters do not measure the same",
        }[self.cause]
        return (
            f"{self.uuid} {self.direction}: device {self.device}, gateway {self.gateway}, "
            f"difference {self.difference} {unit}; {why}"
        )


def compare(device: Settled, gateway: Settled, max_power_w: int) -> list[Comparison]:
    """Every transaction either knows, per direction of both.

    max_power_w: the most the plant can draw or feed; it turns a difference of capture times into
    energy.
    """
    scaler = min(device.point.unit_scaler, gateway.point.unit_scaler)
    uuids = sorted(device.history.transactions.keys() | gateway.history.transactions.keys())
    names = [each.direction for each in device.books]
    shared = [name for name in names if name in {each.direction for each in gateway.books}]
    return [
        _one(device, gateway, uuid, name, scaler, max_power_w) for uuid in uuids for name in shared
    ]


def _one(
    device: Settled, gateway: Settled, uuid: str, name: str, scaler: int, max_power_w: int
) -> Comparison:
    energies = [_energy(each, uuid, name, scaler) for each in (device, gateway)]
    # each energy is a difference of two truncated registers: one step of either meter
    resolution = sum(10 ** (_step(each, name) - scaler) for each in (device, gateway))
    instants = [_instants(each, uuid) for each in (device, gateway)]
    moved = shift = 0
    if instants[0] and instants[1]:
        apart = [abs(a - b) for a, b in zip(instants[0], instants[1], strict=True)]
        moved = sum(apart)
        shift = (instants[1][1] - instants[1][0]) - (instants[0][1] - instants[0][0])
    divisor = HOUR_MS * 10**scaler if scaler > 0 else HOUR_MS
    factor = 10**-scaler if scaler < 0 else 1
    bound = resolution + -(-max_power_w * moved * factor // divisor)
    difference = None
    cause = ALONE
    if energies[0] is not None and energies[1] is not None:
        difference = energies[1] - energies[0]
        size = abs(difference)
        cause = FAULT
        for name_of, limit in ((SAME, 0), (RESOLUTION, resolution), (CAPTURE, bound)):
            if size <= limit:
                cause = name_of
                break
    return Comparison(
        uuid, name, energies[0], energies[1], scaler, difference, resolution, bound, shift, cause
    )


def _energy(settled: Settled, uuid: str, name: str, scaler: int) -> int | None:
    one = settled.history.transactions.get(uuid)
    book = next(each for each in settled.books if each.direction == name)
    energy = None if one is None else settled.energy(one, book)
    return None if energy is None else energy * 10 ** (settled.point.unit_scaler - scaler)


def _step(settled: Settled, name: str) -> int:
    """The coarsest scaler of the registers a transaction's energy may rest on."""
    scalers = [
        value[1] for event in settled.point.events if (value := event.value(name)) is not None
    ]
    return max(scalers, default=settled.point.unit_scaler)


def _instants(settled: Settled, uuid: str) -> tuple[int, int] | None:
    one: Transaction | None = settled.history.transactions.get(uuid)
    if one is None or one.begin is None or one.end is None:
        return None
    return one.begin.t_ms, one.end.t_ms
