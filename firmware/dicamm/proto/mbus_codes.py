"""Names for the numbers that the M-Bus readers give: kinds of values, quantities, units.

Knows no bytes. The readers themselves state the few that they need as constants of their own,
which cost a board nothing, where an imported name costs heap and time; a test compares them.
Names of all quantities and units stand on the host.
"""

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


# kinds of a value
NOTHING = const(0)
INTEGER = const(1)
REAL = const(2)
BCD = const(3)
NEGATIVE_BCD = const(4)  # the sign stands in the length byte
CHARACTERS = const(5)
BINARY = const(6)  # a number too long to count with, or bits
TIME_POINT = const(7)
RAW = const(8)  # the maker's own bytes, to the end of the telegram
MORE = const(9)  # as RAW, and a further telegram follows
UNREADABLE = const(10)  # a DIF that no rule tells the length of: the rest of the telegram

ERROR_STATE = const(3)  # function: 0 instantaneous, 1 maximum, 2 minimum, 3 while in error

# quantities that a reader of values asks for; the others are numbers of the host's list
ENERGY = const(1)
VOLUME = const(2)
POWER = const(6)
DATE = const(14)
DATE_TIME = const(15)
MANUFACTURER = const(23)
RESERVED = const(24)
TEXT = const(25)  # named by the plain text in the telegram

# units are DLMS codes (IEC 62056-6-2) where there is one, codes of our own from 130 on
# elsewhere, and these that are none
UNKNOWN = const(253)
POINT = const(254)  # a date or time
NO_UNIT = const(255)
