"""One reading of the meter: its values, when they were taken, and how far the time can be trusted.

Knows no bus and no record: both are made from or into readings elsewhere.
"""

from dicamm.metering.record import NO_VALUES


class Reading:
    """What the meter said at one moment.

    values: list of (obis, raw, scaler, unit): six bytes, integer, power of ten, DLMS unit code;
        the value is raw * 10**scaler in that unit, exact.
    captured_ms: UTC Unix milliseconds, or None while the time is unset.
    captured_mono_ms: milliseconds since boot, of the same moment.
    status: bits as in `record`, 0 when nothing is to be said.
    time_state: legal_time.UNSET, SYNCHRONISED or HOLDOVER.
    bound_ms: largest deviation of captured_ms, or None while that is unknown.
    """

    def __init__(self, values, captured_ms, captured_mono_ms, status, time_state, bound_ms):
        self.values = values
        self.captured_ms = captured_ms
        self.captured_mono_ms = captured_mono_ms
        self.status = status
        self.time_state = time_state
        self.bound_ms = bound_ms

    def value(self, obis):
        """(raw, scaler, unit) of the six-byte OBIS code, or None where the meter gave none."""
        for code, raw, scaler, unit in self.values:
            if code == obis:
                return raw, scaler, unit
        return None


def taken(values, legal_time, mono_ms):
    """The Reading of `values` at a monotonic instant, as `legal_time` places it. Without values:
    what stands in a record for which the meter gave none."""
    return Reading(
        values,
        legal_time.utc_ms(mono_ms),
        mono_ms,
        0 if values else NO_VALUES,
        legal_time.state(mono_ms),
        legal_time.bound_ms(mono_ms),
    )
