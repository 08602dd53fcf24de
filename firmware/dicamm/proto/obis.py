"""OBIS codes: the six bytes of the wire and the text people write, `1-0:1.8.0*255`.

Knows the form (IEC 62056-61: medium A, channel B, quantity C, kind D, tariff E, storage F), not
what a code means.
"""

SIZE = 6
NO_STORAGE = 255  # value group F: the present value, not a stored one


def parse(text):
    """The six bytes of `A-B:C.D.E` or `A-B:C.D.E*F`, each group 0 to 255; without F it is 255.

    Raises ValueError naming the text.
    """
    try:
        medium, rest = text.split("-")
        channel, rest = rest.split(":")
        quantity, kind, rest = rest.split(".")
        tariff, _, storage = rest.partition("*")
        if storage or rest == tariff:
            groups = (medium, channel, quantity, kind, tariff, storage or str(NO_STORAGE))
            return bytes([_group(group) for group in groups])
    except ValueError:
        pass
    raise ValueError("no OBIS code: " + text)


def text(obis):
    """`A-B:C.D.E*F` of six bytes (bytes-like). Raises ValueError for another length."""
    if len(obis) != SIZE:
        raise ValueError("OBIS code of %d bytes" % len(obis))
    return "%d-%d:%d.%d.%d*%d" % tuple(obis)


def _group(digits):
    if not 1 <= len(digits) <= 3:
        raise ValueError
    for digit in digits:
        if digit not in "0123456789":
            raise ValueError
    number = int(digits)
    if number > 255:
        raise ValueError
    return number
