"""How long Modbus takes on a serial line.

Source: Modbus over Serial Line V1.02 (section 2.5.1.1: silence between frames).
"""

_READ_OVERHEAD = 8 + 5  # bytes of a read and its reply beside the registers
_MAX_READ = 125


def silence_us(baud):
    """The silence around a frame: 3.5 characters of 11 bits, above 19200 Bd fixed 1750 us."""
    if baud > 19200:
        return 1750
    return (38500000 + baud - 1) // baud


def wire_time_us(nbytes, baud, bits_per_char=11):
    """How long `nbytes` take on the line, rounded up to whole microseconds."""
    return (nbytes * bits_per_char * 1000000 + baud - 1) // baud


def registers_within(budget_us, baud, bits_per_char=11):
    """The most registers (at least 4, one value of 64 bits) of a read that is over, with the
    silence before its reply and behind it, within budget_us."""
    chars = (budget_us - 2 * silence_us(baud)) * baud // (bits_per_char * 1000000)
    return min(max((chars - _READ_OVERHEAD) // 2, 4), _MAX_READ)
