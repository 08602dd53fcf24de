"""A meter's register map as data: which registers to ask for, and what their bytes mean.

Knows registers, not the bus: payloads come from a Modbus reply that was checked whole.
Every value becomes an integer times a power of ten here, by integer arithmetic on the bits;
no float exists on the way (the floats of the boards have 24 bits of mantissa).
"""

import binascii

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


MAX_REGISTERS = const(125)  # of one read: Modbus Application Protocol V1.1b3, section 6.3
MAX_EXPONENT = const(12)
MAX_FACTOR = const(1000000)
MAX_RAW = 0x7FFFFFFFFFFFFFFF  # what a long64 holds

# why a value was refused
NOT_FINITE = "not finite"  # the float is infinite or not a number
NOT_DECIMAL = "not decimal"  # a BCD digit above 9
UNDEFINED = "undefined"  # the meter's own pattern for "no value"
TOO_LARGE = "too large"  # beyond MAX_RAW
CUT = "cut"  # the payload ends inside the register

# u: unsigned, i: two's complement, sm: sign bit and magnitude, bcd: a decimal digit in four bits
_WORDS = {"u16": 1, "u32": 2, "u64": 4, "i16": 1, "i32": 2, "i64": 4, "f32": 2, "f64": 4}
_WORDS.update({"sm16": 1, "sm32": 2, "sm64": 4, "bcd16": 1, "bcd32": 2, "bcd64": 4})


class BadProfile(ValueError):
    """The data is no register map; the text names the place."""


class Register:
    """One measured quantity: number in the register * factor * 10**scale = value in `unit`.

    Handed out as raw * 10**scaler in `unit`, so raw = number * factor * 10**(scale - scaler).
    factor: above / below, both integers, 1 / 1 for nearly every meter.
    no_value: the register's bits that stand for "nothing to tell", or None.
    """

    def __init__(self, row):
        obis, address, function, kind, low_word_first, unit, scaler, scale = row[:8]
        self.no_value, self.above, self.below = tuple(row[8:]) or (None, 1, 1)
        self.obis = binascii.unhexlify(obis)
        self.address = address
        self.function = function
        self.kind = kind
        self.low_word_first = bool(low_word_first)
        self.unit = unit
        self.scaler = scaler
        self.scale = scale
        if kind not in _WORDS:
            raise ValueError("type")
        self.end = address + _WORDS[kind]
        if len(self.obis) != 6 or function not in (3, 4) or not 0 <= address < self.end <= 0x10000:
            raise ValueError("obis, function or address")
        if not 0 <= unit <= 255 or abs(scaler) > MAX_EXPONENT or abs(scale) > MAX_EXPONENT:
            raise ValueError("unit or exponent")
        if not 1 <= self.above <= MAX_FACTOR or not 1 <= self.below <= MAX_FACTOR:
            raise ValueError("factor")


class MeterProfile:
    """The register map of one meter model.

    data: the compact form of a file in firmware/meters, made on the host. Keys: model,
    max_registers and max_gap (of one request), undefined (1: all bits set, for signed all but
    the sign, means no value), registers: rows of [obis (12 hex digits), address, function, type,
    low_word_first, DLMS unit, scaler, scale] and, where the meter needs it, no_value, above,
    below; see Register. Other keys are left alone. Raises BadProfile.

    refused: why values were refused, reason -> number, since construction;
    last_refused: [(obis, reason)] of the last decode().
    """

    def __init__(self, data):
        self.model = data.get("model", "")
        self.max_registers = data.get("max_registers") or MAX_REGISTERS
        self.max_gap = data.get("max_gap") or 0
        self._undefined = bool(data.get("undefined", 0))
        self.refused = {}
        self.last_refused = []
        self._registers = []
        for row in data.get("registers", ()):
            fault = None
            try:
                self._registers.append(Register(row))
            except (TypeError, ValueError) as error:
                fault = str(error)
            if fault is not None:
                raise BadProfile("%s: register %r: %s" % (self.model, row, fault))
        self._sorted = sorted(self._registers, key=lambda entry: (entry.function, entry.address))
        if not self._registers or not 1 <= self.max_registers <= MAX_REGISTERS:
            raise BadProfile("%s: no registers, or max_registers" % self.model)

    @property
    def obis_codes(self):
        """The six-byte codes of all values this meter gives."""
        return [register.obis for register in self._registers]

    def keep(self, obis_list):
        """Forgets every register but those of these codes; a register takes half a KiB."""
        self._registers = [entry for entry in self._registers if entry.obis in obis_list]
        self._sorted = [entry for entry in self._sorted if entry.obis in obis_list]

    def plan(self, obis_list, max_registers=None, max_gap=None):
        """The fewest reads that give these values: [(function, address, count)], ascending.

        obis_list: six-byte codes. max_registers: most registers of one read; max_gap: most
        addresses in a row read along that the meter does not list (it may refuse them); those
        it lists may always be read along. Both default to the profile's.
        Raises ValueError for a code this meter does not give, or one wider than max_registers.
        """
        limit = self.max_registers if max_registers is None else max_registers
        gap = self.max_gap if max_gap is None else max_gap
        wanted = self._wanted(obis_list)
        reads = []
        function = end = room = 0  # room: the address up to which the last read may grow
        for register in self._sorted:
            if register.function != function or register.address > end + gap:
                end = room = 0
            function, end = register.function, max(end, register.end)
            if register not in wanted:
                continue
            if register.end - register.address > limit:
                raise ValueError("register wider than max_registers")
            if register.end > room:
                reads.append((function, register.address, register.end - register.address))
                room = register.address + limit
            else:
                start, count = reads[-1][1:]
                reads[-1] = (function, start, max(count, register.end - start))
        return reads

    def decode(self, function, address, payload):
        """The values in the registers from `address` on: [(obis, raw, scaler, unit)].

        payload: two bytes per register; all values that begin in it are given, asked for or not.
        A value that cannot be given is left out and told in `refused` and `last_refused`.
        """
        self.last_refused = []
        values = []
        end = address + (len(payload) + 1) // 2
        for register in self._registers:
            if register.function == function and address <= register.address < end:
                raw = self._raw(register, payload, 2 * (register.address - address))
                if raw is not None:
                    values.append((register.obis, raw, register.scaler, register.unit))
        return values

    def _wanted(self, obis_list):
        known = self.obis_codes
        for obis in obis_list:
            if obis not in known:
                raise ValueError("%s has no register for OBIS %r" % (self.model, obis))
        return [register for register in self._registers if register.obis in obis_list]

    def _raw(self, register, payload, at):
        """The register's value in units of 10**scaler, or None, refused and counted."""
        words = register.end - register.address
        if at + 2 * words > len(payload):
            return self._refuse(register, CUT)
        if register.low_word_first:
            bits = _join(payload, at, words)
        else:
            bits = int.from_bytes(payload[at : at + 2 * words], "big")
        form = register.kind[0]
        ones = self._undefined and form in "uis"
        if bits == register.no_value or (
            ones and bits == (1 << (16 * words - (form in "is"))) - 1
        ):
            return self._refuse(register, UNDEFINED)
        if form == "f":
            number = float_parts(bits, words)
            reason = NOT_FINITE
        else:
            number = _integer(register.kind, bits, 16 * words)
            reason = NOT_DECIMAL
        if number is None:
            return self._refuse(register, reason)
        if number[1] > 128:  # above 2**180: no scale and factor brings that within MAX_RAW
            return self._refuse(register, TOO_LARGE)
        exponent = register.scale - register.scaler
        raw = scaled(number[0] * register.above, number[1], exponent, register.below)
        if abs(raw) > MAX_RAW:
            return self._refuse(register, TOO_LARGE)
        return raw

    def _refuse(self, register, reason):
        self.refused[reason] = self.refused.get(reason, 0) + 1
        self.last_refused.append((register.obis, reason))


def _join(payload, at, words):
    """The unsigned number in `words` registers, the low one first; bytes within a register are
    big endian."""
    bits = 0
    for place in range(at + 2 * words - 2, at - 2, -2):
        bits = bits << 16 | payload[place] << 8 | payload[place + 1]
    return bits


def _integer(kind, bits, width):
    """(number, 0) for the bits of an integer register; None where they are not decimal."""
    if kind[0] == "b":
        number = 0
        for place in range(width - 4, -4, -4):
            digit = bits >> place & 15
            if digit > 9:
                return None
            number = 10 * number + digit
        return number, 0
    if kind[0] != "u" and bits >> (width - 1):
        sign = 1 << (width - 1)
        return (sign - bits if kind[0] == "s" else bits - 2 * sign), 0
    return bits, 0


def float_parts(bits, words):
    """(mantissa, exponent) with value = mantissa * 2**exponent, or None if not finite.

    words: 2 for an IEEE 754 single, 4 for a double.
    """
    fraction, bias = (23, 150) if words == 2 else (52, 1075)
    top = (1 << (16 * words - 1 - fraction)) - 1
    biased = bits >> fraction & top
    mantissa = bits & ((1 << fraction) - 1)
    if biased == top:
        return None
    if biased:
        mantissa |= 1 << fraction
    else:
        biased = 1  # a subnormal has the smallest exponent and no hidden bit
    if bits >> (16 * words - 1):
        mantissa = -mantissa
    return mantissa, biased - bias


def f32_scaled(bits, exponent):
    """The IEEE 754 single `bits`, times 10**exponent, as the nearest integer; None if not finite.

    Ties go away from zero; -0 is 0. With exponent = -resolution this is the nearest multiple of
    the meter's resolution: what the meter counted, as long as a float step is finer than that.
    """
    parts = float_parts(bits, 2)
    return None if parts is None else scaled(parts[0], parts[1], exponent)


def scaled(mantissa, exponent2, exponent10, divisor=1):
    """mantissa * 2**exponent2 * 10**exponent10 / divisor as the nearest integer.

    Ties go away from zero. divisor: above 0.
    """
    above = abs(mantissa)
    below = divisor
    if exponent10 < 0:
        below *= 10**-exponent10
    else:
        above *= 10**exponent10
    if exponent2 < 0:
        below <<= -exponent2
    else:
        above <<= exponent2
    nearest = (2 * above + below) // (2 * below)
    return -nearest if mantissa < 0 else nearest
