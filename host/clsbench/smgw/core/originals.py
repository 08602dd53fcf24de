"""The original list: registers of a meter at due times and events, each with its status.

Knows how a reading becomes rows of that list, and which row may be used; knows no store.
Sources: BSI TR-03109-1 (original readings as the ground of every tariff), TRuDI (a reading is
usable unless its PTB status is 3 or 4).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from clsbench.smgw.core import status
from clsbench.smgw.core.clock_state import TimeState
from clsbench.smgw.core.grid import Slot
from clsbench.smgw.core.readings import OriginalReading


@dataclass(frozen=True, slots=True)
class Original:
    """One register at one instant: raw * 10**scaler in the DLMS unit.

    meter: as the profiles name it; meter_id: as the meter names itself. captured_ms: UTC at
    the first byte of the telegram. due_ms: the due time it was chosen for, None when it was
    read for an event. status: combined word (`status`); ptb: 0 to 4. time_state, bound_ms:
    the gateway's clock then. A gap has neither raw nor captured_ms.
    """

    meter: str
    meter_id: str
    obis: str
    raw: int | None
    scaler: int
    unit: int
    captured_ms: int | None
    due_ms: int | None
    status: int
    ptb: int
    time_state: str
    bound_ms: int | None

    @property
    def usable(self) -> bool:
        """True when a tariff may count with it."""
        return self.raw is not None and self.ptb not in (status.PTB_UNUSABLE, status.PTB_FATAL)

    @property
    def at_ms(self) -> int:
        """Where it stands in the list: its due time, else its capture time."""
        return self.due_ms if self.due_ms is not None else self.captured_ms or 0


def originals(
    meter: str,
    reading: OriginalReading,
    time_state: TimeState,
    due_ms: int | None = None,
    gateway_bits: Iterable[int] = (),
) -> list[Original]:
    """The rows of a reading, one for each of its registers."""
    bits = [*gateway_bits, *([] if time_state.valid else [status.TIME_NOT_VALID])]
    word = status.combine(bits, reading.meter_word)
    return [
        Original(
            meter=meter,
            meter_id=reading.meter_id,
            obis=value.obis,
            raw=value.raw,
            scaler=value.scaler,
            unit=value.unit,
            captured_ms=reading.captured_ms,
            due_ms=due_ms,
            status=word,
            ptb=status.ptb(word),
            time_state=time_state.state,
            bound_ms=time_state.bound_ms,
        )
        for value in reading.values
    ]


def slot_originals(
    meter: str, slot: Slot, time_state: TimeState, last: Iterable[Original]
) -> list[Original]:
    """The rows of a due time. last: the latest row of each register, which a gap leans on."""
    if slot.reading is not None:
        bits = [status.VALUE_NOT_VALIDATED] if slot.substitute else []
        return originals(meter, slot.reading, time_state, slot.due_ms, bits)
    word = status.combine(
        [status.NO_VALUE] + ([] if time_state.valid else [status.TIME_NOT_VALID])
    )
    return [
        replace(
            row,
            raw=None,
            captured_ms=None,
            due_ms=slot.due_ms,
            status=word,
            ptb=status.ptb(word),
            time_state=time_state.state,
            bound_ms=time_state.bound_ms,
        )
        for row in last
    ]
