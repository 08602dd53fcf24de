"""What an evaluation profile makes of the original list: a register of a period.

A value only; the engines (`taf1`, `taf2`, `taf6`) form it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Derived:
    """A register of a profile at the end of a period.

    raw * 10**scaler in the DLMS unit; raw None where it could not be formed. obis: for TAF2
    with the stage as E (`1-0:1.8.2*255`, 63 = error register). ptb: the worst of what it was
    made of. closed: False while the period still runs.
    """

    profile_id: str
    obis: str
    start_ms: int
    end_ms: int
    raw: int | None
    scaler: int
    unit: int
    status: int
    ptb: int
    closed: bool = True
