"""What the value information of M-Bus means: quantity, unit and power of ten, as data.

Knows codes, no bytes and no texts: the names of quantities and units stand on the host. Units
are DLMS codes (IEC 62056-6-2) where there is one, codes of our own from 130 on elsewhere.
Source: EN 13757-3:2018, tables 10 to 14 (main table, extensions FDh and FBh, second extension
FDh FDh), and for what those dropped EN 1434-3.
"""

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


# quantities that a reader of values asks for; the others are numbers of the host's list
ENERGY = const(1)
VOLUME = const(2)
POWER = const(6)
DATE = const(14)
DATE_TIME = const(15)
MANUFACTURER = const(23)
RESERVED = const(24)
TEXT = const(25)  # named by the plain text in the telegram

# units that are none
NO_UNIT = const(255)
POINT = const(254)  # a date or time
UNKNOWN = const(253)

_EXPONENT_0 = const(64)
_TIME = b"\x07\x06\x05\x04\x02\x01"  # s, min, h, d, month, year: one step of a code each

# Rows of five bytes: first code, number of codes, quantity, unit, exponent of ten of the first
# + 64. The exponent rises with the code; the unit does, where it is a time.
# fmt: off
_MAIN = (
    b"\x00\x08\x01\x1e\x3d"  # 00..07 energy, Wh
    b"\x08\x08\x01\x19\x40"  # 08..0f energy, J
    b"\x10\x08\x02\x0d\x3a"  # 10..17 volume, m^3
    b"\x18\x08\x03\x14\x3d"  # 18..1f mass, kg
    b"\x20\x04\x04\x07\x40"  # 20..23 on time, s
    b"\x24\x04\x05\x07\x40"  # 24..27 operating time, s
    b"\x28\x08\x06\x1b\x3d"  # 28..2f power, W
    b"\x30\x08\x06\x1a\x40"  # 30..37 power, J/h
    b"\x38\x08\x07\x0f\x3a"  # 38..3f volume flow, m^3/h
    b"\x40\x08\x07\x83\x39"  # 40..47 volume flow, m^3/min
    b"\x48\x08\x07\x84\x37"  # 48..4f volume flow, m^3/s
    b"\x50\x08\x08\x85\x3d"  # 50..57 mass flow, kg/h
    b"\x58\x04\x09\x09\x3d"  # 58..5b flow temperature, °C
    b"\x5c\x04\x0a\x09\x3d"  # 5c..5f return temperature, °C
    b"\x60\x04\x0b\x34\x3d"  # 60..63 temperature difference, K
    b"\x64\x04\x0c\x09\x3d"  # 64..67 external temperature, °C
    b"\x68\x04\x0d\x18\x3d"  # 68..6b pressure, bar
    b"\x6c\x01\x0e\xfe\x40"  # 6c time point (date)
    b"\x6d\x01\x0f\xfe\x40"  # 6d time point (date & time)
    b"\x6e\x01\x10\x82\x40"  # 6e H.C.A., Units for H.C.A.
    b"\x70\x04\x11\x07\x40"  # 70..73 averaging duration, s
    b"\x74\x04\x12\x07\x40"  # 74..77 actuality duration, s
    b"\x78\x01\x13\xff\x40"  # 78 fabrication no
    b"\x79\x01\x14\xff\x40"  # 79 (enhanced) identification
    b"\x7a\x01\x15\xff\x40"  # 7a bus address
    b"\x7c\x01\x19\xfc\x40"  # 7c named by plain text
    b"\x7e\x01\x16\xff\x40"  # 7e any vif
    b"\x7f\x01\x17\xff\x40"  # 7f manufacturer specific
)
_EXTENSION_FD = (
    b"\x00\x04\x1e\x0a\x3d"  # 00..03 credit, Currency units
    b"\x04\x04\x1f\x0a\x3d"  # 04..07 debit, Currency units
    b"\x08\x01\x20\xff\x40"  # 08 access number (transmission count)
    b"\x09\x01\x21\xff\x40"  # 09 medium
    b"\x0a\x01\x22\xff\x40"  # 0a manufacturer
    b"\x0b\x01\x23\xff\x40"  # 0b parameter set identification
    b"\x0c\x01\x24\xff\x40"  # 0c model / version
    b"\x0d\x01\x25\xff\x40"  # 0d hardware version
    b"\x0e\x01\x26\xff\x40"  # 0e firmware version
    b"\x0f\x01\x27\xff\x40"  # 0f software version
    b"\x10\x01\x28\xff\x40"  # 10 customer location
    b"\x11\x01\x29\xff\x40"  # 11 customer
    b"\x12\x01\x2a\xff\x40"  # 12 access code user
    b"\x13\x01\x2b\xff\x40"  # 13 access code operator
    b"\x14\x01\x2c\xff\x40"  # 14 access code system operator
    b"\x15\x01\x2d\xff\x40"  # 15 access code developer
    b"\x16\x01\x2e\xff\x40"  # 16 password
    b"\x17\x01\x2f\xff\x40"  # 17 error flags
    b"\x18\x01\x30\xff\x40"  # 18 error mask
    b"\x19\x01\x50\xff\x40"  # 19 security key
    b"\x1a\x01\x31\xff\x40"  # 1a digital output
    b"\x1b\x01\x32\xff\x40"  # 1b digital input
    b"\x1c\x01\x33\x86\x40"  # 1c baudrate, Baud
    b"\x1d\x01\x34\x87\x40"  # 1d response delay time, Bittimes
    b"\x1e\x01\x35\xff\x40"  # 1e retry
    b"\x1f\x01\x51\xff\x40"  # 1f remote control
    b"\x20\x01\x36\xff\x40"  # 20 first storage # for cyclic storage
    b"\x21\x01\x37\xff\x40"  # 21 last storage # for cyclic storage
    b"\x22\x01\x38\xff\x40"  # 22 size of storage block
    b"\x23\x01\x52\xff\x40"  # 23 descriptor for tariff and device
    b"\x24\x06\x39\x07\x40"  # 24..29 storage interval, s
    b"\x2a\x01\x53\xff\x40"  # 2a operator specific data
    b"\x2b\x01\x54\x07\x40"  # 2b time point (second), s
    b"\x2c\x04\x3a\x07\x40"  # 2c..2f duration since last readout, s
    b"\x30\x01\x3b\xfe\x40"  # 30 start (date/time) of tariff
    b"\x31\x03\x3c\x06\x40"  # 31..33 duration of tariff, min
    b"\x34\x06\x3d\x07\x40"  # 34..39 period of tariff, s
    b"\x3a\x01\x3e\xff\x40"  # 3a dimensionless
    b"\x3b\x01\x55\xff\x40"  # 3b wireless m-bus data container
    b"\x3c\x04\x56\x07\x40"  # 3c..3f period of nominal data transmissions, s
    b"\x40\x10\x3f\x23\x37"  # 40..4f voltage, V
    b"\x50\x10\x40\x21\x34"  # 50..5f current, A
    b"\x60\x01\x41\xff\x40"  # 60 reset counter
    b"\x61\x01\x42\xff\x40"  # 61 cumulation counter
    b"\x62\x01\x43\xff\x40"  # 62 control signal
    b"\x63\x01\x44\xff\x40"  # 63 day of week
    b"\x64\x01\x45\xff\x40"  # 64 week number
    b"\x65\x01\x46\xff\x40"  # 65 time point of day change
    b"\x66\x01\x47\xff\x40"  # 66 state of parameter activation
    b"\x67\x01\x48\xff\x40"  # 67 special supplier information
    b"\x68\x04\x49\x05\x40"  # 68..6b duration since last cumulation, h
    b"\x6c\x04\x4a\x05\x40"  # 6c..6f operating time battery, h
    b"\x70\x01\x4b\xfe\x40"  # 70 date and time of battery change
    b"\x71\x01\x4c\x8d\x40"  # 71 rf level, dBm
    b"\x72\x01\x57\xff\x40"  # 72 daylight saving
    b"\x73\x01\x58\xff\x40"  # 73 listening window
    b"\x74\x01\x4d\x04\x40"  # 74 remaining battery life time, d
    b"\x75\x01\x4e\xff\x40"  # 75 number of stops
    b"\x76\x01\x4f\xff\x40"  # 76 manufacturer specific data container
)
_EXTENSION_FB = (
    b"\x00\x02\x01\x1e\x45"  # 00..01 energy, Wh
    b"\x02\x02\x5b\x20\x43"  # 02..03 reactive energy, varh
    b"\x04\x02\x5c\x1f\x43"  # 04..05 apparent energy, VAh
    b"\x08\x02\x01\x19\x48"  # 08..09 energy, J
    b"\x0c\x04\x01\x8e\x45"  # 0c..0f energy, cal
    b"\x10\x02\x02\x0d\x42"  # 10..11 volume, m^3
    b"\x14\x04\x5d\x1d\x40"  # 14..17 reactive power, var
    b"\x18\x02\x03\x14\x45"  # 18..19 mass, kg
    b"\x1a\x02\x5a\x38\x3f"  # 1a..1b relative humidity, %
    b"\x20\x01\x02\x88\x40"  # 20 volume, feet^3
    b"\x21\x01\x02\x88\x3f"  # 21 volume, feet^3
    b"\x22\x02\x02\x89\x3f"  # 22..23 volume, American gallon
    b"\x24\x01\x07\x8a\x3d"  # 24 volume flow, American gallon/min
    b"\x25\x01\x07\x8a\x40"  # 25 volume flow, American gallon/min
    b"\x26\x01\x07\x8b\x40"  # 26 volume flow, American gallon/h
    b"\x28\x02\x06\x1b\x45"  # 28..29 power, W
    b"\x2a\x01\x60\x08\x3f"  # 2a phase angle (u-u), °
    b"\x2b\x01\x61\x08\x3f"  # 2b phase angle (u-i), °
    b"\x2c\x04\x5f\x2c\x3d"  # 2c..2f frequency, Hz
    b"\x30\x02\x06\x1a\x48"  # 30..31 power, J/h
    b"\x34\x04\x5e\x1c\x40"  # 34..37 apparent power, VA
    b"\x58\x04\x09\x8c\x3d"  # 58..5b flow temperature, °F
    b"\x5c\x04\x0a\x8c\x3d"  # 5c..5f return temperature, °F
    b"\x60\x04\x0b\x8c\x3d"  # 60..63 temperature difference, °F
    b"\x64\x04\x0c\x8c\x3d"  # 64..67 external temperature, °F
    b"\x70\x04\x62\x8c\x3d"  # 70..73 cold / warm temperature limit, °F
    b"\x74\x04\x62\x09\x3d"  # 74..77 cold / warm temperature limit, °C
    b"\x78\x08\x63\x1b\x3d"  # 78..7f cumul count max power, W
)
# fmt: on
_BATTERY = const(77)
_SELECTED_APPLICATION = const(89)


def _expand(rows):
    """Three bytes for each of the 128 codes: quantity, unit, exponent + 64."""
    table = bytearray((RESERVED, UNKNOWN, _EXPONENT_0) * 128)
    for row in range(0, len(rows), 5):
        unit = rows[row + 3]
        time = _TIME.find(rows[row + 3 : row + 4])
        for step in range(rows[row + 1]):
            at = 3 * (rows[row] + step)
            table[at] = rows[row + 2]
            table[at + 1] = unit if time < 0 else _TIME[time + step]
            table[at + 2] = rows[row + 4] + (step if time < 0 else 0)
    return bytes(table)


MAIN = _expand(_MAIN)
EXTENSION_FD = _expand(_EXTENSION_FD)
EXTENSION_FB = _expand(_EXTENSION_FB)
# FDh FDh: the application selected; battery life time left in months, in years
SECOND_FD = bytes(
    (_SELECTED_APPLICATION, NO_UNIT, 64, RESERVED, UNKNOWN, 64, _BATTERY, 2, 64, _BATTERY, 1, 64)
)
del _MAIN, _EXTENSION_FD, _EXTENSION_FB, _expand
