"""Compact profiles: many values of one register in one record (EN 13757-3:2018, annex F).

Knows what one record's bytes say of the series, and its base value; which register and instant
the base value has is told by the records before it (same storage, same quantity).
"""

from dicamm.proto import mbus_values as values

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


MAX_VALUES = 255

# VIFEs that make a record a profile
INVERSE = 0x13  # the base value is the latest, the series goes back
WITH_REGISTERS = 0x1E
COMPACT = 0x1F  # the base value is the earliest, the series goes on

# modes: what stands in the series
ABSOLUTE = 0
RISING = 1  # unsigned steps up, in time
FALLING = 2
SIGNED = 3

# units of the spacing
SECONDS = 0
MINUTES = 1
HOURS = 2
DAYS = 3
HALF_MONTHS = 4
MONTHS = 5

_WIDTHS = b"\x00\x01\x02\x03\x04\x00\x06\x08\x00\x01\x02\x03\x04\x00\x06\x00"
_CHARACTERS = const(5)  # mbus_codes
_FIRST_BCD = 9
_HALF_MONTH = 253
_MONTH = 254


class Profile:
    """A series of values, all with the record's scaler and unit.

    inverse: it goes back in time from the base value; mode and spacing_unit: above; spacing:
    units between two values, 0: they are not spaced in time; values: integers, None where
    the series says "no value", and from there on where steps are sent.
    """

    def __init__(self, inverse, mode, spacing, spacing_unit, found):
        self.inverse = inverse
        self.mode = mode
        self.spacing = spacing
        self.spacing_unit = spacing_unit
        self.values = found

    def plain(self):
        """The same as a dictionary."""
        return {
            "inverse": self.inverse,
            "mode": self.mode,
            "spacing": self.spacing,
            "spacing_unit": self.spacing_unit,
            "values": self.values,
        }


def read(records, base):
    """The profile in the current record of `records` (MbusRecords), None where there is none.

    base: raw value the steps of a series start from, None where it is not known.
    """
    if records.kind != _CHARACTERS or records.data - records.vib < 2:
        return None
    modifiers = records.modifiers()
    inverse = INVERSE in modifiers
    if not (inverse or COMPACT in modifiers or WITH_REGISTERS in modifiers):
        return None
    data = records.octets()
    if len(data) < 2:
        return None
    control, spacing = data[0], data[1]
    unit = control >> 4 & 3
    if unit == DAYS and spacing >= _HALF_MONTH:
        if spacing > _MONTH:
            return None
        unit = MONTHS if spacing == _MONTH else HALF_MONTHS
        spacing = 1
    mode = control >> 6
    found = _series(data, control & 15, mode, inverse, base)
    return None if found is None else Profile(inverse, mode, spacing, unit, found)


def without_profile(modifiers):
    """The VIFEs of the register that a profile's VIFEs belong to."""
    return bytes([vife for vife in modifiers if vife not in (INVERSE, WITH_REGISTERS, COMPACT)])


def _series(data, coding, mode, inverse, base):
    width = _WIDTHS[coding]
    if not width or (len(data) - 2) % width:
        return None
    found = []
    for at in range(2, len(data), width):
        number = _number(data, at, width, coding, mode)
        if mode != ABSOLUTE:
            if number is not None and base is not None:
                back = inverse != (mode == FALLING)
                number = base - number if back else base + number
            else:
                number = None
            base = number
        found.append(number)
    return found


def _number(data, at, width, coding, mode):
    """One member of the series; steps up and down are unsigned, all bits set mean none."""
    if coding >= _FIRST_BCD:
        return values.bcd(data, at, width)
    if mode in (RISING, FALLING):
        number = int.from_bytes(data[at : at + width], "little")
        return None if number == (1 << 8 * width) - 1 else number
    if values.is_undefined(data, at, width):
        return None
    return values.integer(data, at, width)
