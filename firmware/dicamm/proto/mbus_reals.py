"""Reals in M-Bus data fields, and rounding, without a float (EN 13757-3, annex A, type H).

Knows bytes in transmission order. A real becomes an integer and a power of ten. Loaded when the
first real is read or the first value rounded: most meters send none.
"""

_MAX_DECIMALS = 38  # of a real; what lies below is rounded away


def real(buffer, at):
    """Type H: an IEEE 754 single as (raw, scaler), value = raw * 10**scaler; None: not finite.

    Exact, but for what is smaller than 10**-38.
    """
    high = buffer[at + 3]
    exponent = (high & 0x7F) << 1 | buffer[at + 2] >> 7
    mantissa = (buffer[at + 2] & 0x7F) << 16 | buffer[at + 1] << 8 | buffer[at]
    if exponent == 0xFF:
        return None
    if exponent:
        mantissa |= 0x800000
        exponent -= 150
    elif mantissa:
        exponent = -149
    else:
        return 0, 0
    while exponent < -7 and not mantissa & 0xFF:
        mantissa >>= 8
        exponent += 8
    while exponent < 0 and not mantissa & 1:
        mantissa >>= 1
        exponent += 1
    if high & 0x80:
        mantissa = -mantissa
    if exponent >= 0:
        return mantissa << exponent, 0
    if exponent >= -_MAX_DECIMALS:
        return mantissa * 5**-exponent, exponent
    return scaled(mantissa * 5**-exponent, exponent, -_MAX_DECIMALS), -_MAX_DECIMALS


def scaled(raw, scaler, wanted):
    """raw * 10**scaler as the nearest multiple of 10**wanted, in those; ties from zero."""
    if scaler >= wanted:
        return raw * 10 ** (scaler - wanted)
    step = 10 ** (wanted - scaler)
    nearest = (2 * abs(raw) + step) // (2 * step)
    return -nearest if raw < 0 else nearest
