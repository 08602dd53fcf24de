"""What the value information of M-Bus means: quantity, unit and power of ten, as data.

Knows codes, no bytes and no texts: the names of quantities and units stand on the host. Units
are DLMS codes (IEC 62056-6-2) where there is one. Source: EN 13757-3:2018, tables 10 to 14
(main table, extensions FBh and FDh, second extension FDh FDh).
"""

# quantities that a reader of values asks for; the others are numbers of the host's list
ENERGY = 1
VOLUME = 2
POWER = 6
DATE = 14
DATE_TIME = 15
FABRICATION_NUMBER = 19
ANY = 22
MANUFACTURER = 23
RESERVED = 24
TEXT = 25  # named by the plain text in the telegram

# units without a DLMS code
NO_UNIT = 255
POINT = 254  # a date or time
UNKNOWN = 253
NAMED = 252  # told, if at all, by the plain text in the telegram
HCA = 130
M3_PER_MIN = 131
M3_PER_S = 132
KG_PER_H = 133
BAUD = 134
BIT_TIME = 135
CUBIC_FOOT = 136
GALLON = 137
GALLON_PER_MIN = 138
GALLON_PER_H = 139
FAHRENHEIT = 140
DBM = 141
CALORIE = 142

_EXPONENT_0 = 64
_TIME = (7, 6, 5, 4, 2, 1)  # s, min, h, day, month, year: one step of a code each
_S, _MIN, _H, _D = -1, -2, -3, -4  # begin of a row of times in that unit

# first code, number of codes, quantity, unit, exponent of the first; the exponent rises with the
# code, or the unit, where it begins with a time
_MAIN = (
    (0x00, 8, ENERGY, 30, -3),
    (0x08, 8, ENERGY, 25, 0),
    (0x10, 8, VOLUME, 13, -6),
    (0x18, 8, 3, 20, -3),
    (0x20, 4, 4, _S, 0),
    (0x24, 4, 5, _S, 0),
    (0x28, 8, POWER, 27, -3),
    (0x30, 8, POWER, 26, 0),
    (0x38, 8, 7, 15, -6),
    (0x40, 8, 7, M3_PER_MIN, -7),
    (0x48, 8, 7, M3_PER_S, -9),
    (0x50, 8, 8, KG_PER_H, -3),
    (0x58, 4, 9, 9, -3),
    (0x5C, 4, 10, 9, -3),
    (0x60, 4, 11, 52, -3),
    (0x64, 4, 12, 9, -3),
    (0x68, 4, 13, 24, -3),
    (0x6C, 1, DATE, POINT, 0),
    (0x6D, 1, DATE_TIME, POINT, 0),
    (0x6E, 1, 16, HCA, 0),
    (0x70, 4, 17, _S, 0),
    (0x74, 4, 18, _S, 0),
    (0x78, 1, FABRICATION_NUMBER, NO_UNIT, 0),
    (0x79, 1, 20, NO_UNIT, 0),
    (0x7A, 1, 21, NO_UNIT, 0),
    (0x7C, 1, TEXT, NAMED, 0),
    (0x7E, 1, ANY, NO_UNIT, 0),
    (0x7F, 1, MANUFACTURER, NO_UNIT, 0),
)
_EXTENSION_FD = (
    (0x00, 4, 30, 10, -3),
    (0x04, 4, 31, 10, -3),
    (0x08, 1, 32, NO_UNIT, 0),
    (0x09, 1, 33, NO_UNIT, 0),
    (0x0A, 1, 34, NO_UNIT, 0),
    (0x0B, 1, 35, NO_UNIT, 0),
    (0x0C, 1, 36, NO_UNIT, 0),
    (0x0D, 1, 37, NO_UNIT, 0),
    (0x0E, 1, 38, NO_UNIT, 0),
    (0x0F, 1, 39, NO_UNIT, 0),
    (0x10, 1, 40, NO_UNIT, 0),
    (0x11, 1, 41, NO_UNIT, 0),
    (0x12, 1, 42, NO_UNIT, 0),
    (0x13, 1, 43, NO_UNIT, 0),
    (0x14, 1, 44, NO_UNIT, 0),
    (0x15, 1, 45, NO_UNIT, 0),
    (0x16, 1, 46, NO_UNIT, 0),
    (0x17, 1, 47, NO_UNIT, 0),
    (0x18, 1, 48, NO_UNIT, 0),
    (0x19, 1, 80, NO_UNIT, 0),
    (0x1A, 1, 49, NO_UNIT, 0),
    (0x1B, 1, 50, NO_UNIT, 0),
    (0x1C, 1, 51, BAUD, 0),
    (0x1D, 1, 52, BIT_TIME, 0),
    (0x1E, 1, 53, NO_UNIT, 0),
    (0x1F, 1, 81, NO_UNIT, 0),
    (0x20, 1, 54, NO_UNIT, 0),
    (0x21, 1, 55, NO_UNIT, 0),
    (0x22, 1, 56, NO_UNIT, 0),
    (0x23, 1, 82, NO_UNIT, 0),
    (0x24, 6, 57, _S, 0),
    (0x2A, 1, 83, NO_UNIT, 0),
    (0x2B, 1, 84, 7, 0),
    (0x2C, 4, 58, _S, 0),
    (0x30, 1, 59, POINT, 0),
    (0x31, 3, 60, _MIN, 0),
    (0x34, 6, 61, _S, 0),
    (0x3A, 1, 62, NO_UNIT, 0),
    (0x3B, 1, 85, NO_UNIT, 0),
    (0x3C, 4, 86, _S, 0),
    (0x40, 16, 63, 35, -9),
    (0x50, 16, 64, 33, -12),
    (0x60, 1, 65, NO_UNIT, 0),
    (0x61, 1, 66, NO_UNIT, 0),
    (0x62, 1, 67, NO_UNIT, 0),
    (0x63, 1, 68, NO_UNIT, 0),
    (0x64, 1, 69, NO_UNIT, 0),
    (0x65, 1, 70, NO_UNIT, 0),
    (0x66, 1, 71, NO_UNIT, 0),
    (0x67, 1, 72, NO_UNIT, 0),
    (0x68, 4, 73, _H, 0),
    (0x6C, 4, 74, _H, 0),
    (0x70, 1, 75, POINT, 0),
    (0x71, 1, 76, DBM, 0),
    (0x72, 1, 87, NO_UNIT, 0),
    (0x73, 1, 88, NO_UNIT, 0),
    (0x74, 1, 77, 4, 0),
    (0x75, 1, 78, NO_UNIT, 0),
    (0x76, 1, 79, NO_UNIT, 0),
)
_EXTENSION_FB = (
    (0x00, 2, ENERGY, 30, 5),
    (0x02, 2, 91, 32, 3),
    (0x04, 2, 92, 31, 3),
    (0x08, 2, ENERGY, 25, 8),
    (0x0C, 4, ENERGY, CALORIE, 5),
    (0x10, 2, VOLUME, 13, 2),
    (0x14, 4, 93, 29, 0),
    (0x18, 2, 3, 20, 5),
    (0x1A, 2, 90, 56, -1),
    (0x20, 1, VOLUME, CUBIC_FOOT, 0),
    (0x21, 1, VOLUME, CUBIC_FOOT, -1),
    (0x22, 2, VOLUME, GALLON, -1),
    (0x24, 1, 7, GALLON_PER_MIN, -3),
    (0x25, 1, 7, GALLON_PER_MIN, 0),
    (0x26, 1, 7, GALLON_PER_H, 0),
    (0x28, 2, POWER, 27, 5),
    (0x2A, 1, 96, 8, -1),
    (0x2B, 1, 97, 8, -1),
    (0x2C, 4, 95, 44, -3),
    (0x30, 2, POWER, 26, 8),
    (0x34, 4, 94, 28, 0),
    (0x58, 4, 9, FAHRENHEIT, -3),
    (0x5C, 4, 10, FAHRENHEIT, -3),
    (0x60, 4, 11, FAHRENHEIT, -3),
    (0x64, 4, 12, FAHRENHEIT, -3),
    (0x70, 4, 98, FAHRENHEIT, -3),
    (0x74, 4, 98, 9, -3),
    (0x78, 8, 99, 27, -3),
)
_SECOND_FD = ((0x00, 1, 89, NO_UNIT, 0), (0x02, 1, 77, 2, 0), (0x03, 1, 77, 1, 0))


def _expand(rows):
    """Three bytes for each of the 128 codes: quantity, unit, exponent + 64."""
    table = bytearray((RESERVED, UNKNOWN, _EXPONENT_0) * 128)
    for first, count, quantity, unit, exponent in rows:
        for step in range(count):
            at = 3 * (first + step)
            table[at] = quantity
            if unit < 0:
                table[at + 1] = _TIME[step - unit - 1]
            else:
                table[at + 1] = unit
                table[at + 2] = _EXPONENT_0 + exponent + step
    return bytes(table)


MAIN = _expand(_MAIN)
EXTENSION_FD = _expand(_EXTENSION_FD)
EXTENSION_FB = _expand(_EXTENSION_FB)
SECOND_FD = _expand(_SECOND_FD)
del _MAIN, _EXTENSION_FD, _EXTENSION_FB, _SECOND_FD
