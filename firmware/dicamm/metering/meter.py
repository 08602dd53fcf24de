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
MAX_RAW = 0x7FFFFFFFFFFFFFFF  # what a long64 holds

# why a value was refused
NOT_FINITE = "not finite"  # the float is infinite or not a number
UNDEFINED = "undefined"  # the meter's own pattern for "no value"
TOO_LARGE = "too large"  # beyond MAX_RAW
CUT = "cut"  # the payload ends inside the register

_WORDS = {"u16": 1, "i16": 1, "u32": 2, "i32": 2, "f32": 2, "u64": 4, "i64": 4}


class BadProfile(ValueError):
    """The data is no register map; the text names the place."""


class Register:
    """One measured quantity: number in the register * 10**scale = value in `unit`.

    Handed out as raw * 10**scaler in `unit`, so raw = number * 10**(scale - scaler).
    """

    def __init__(self, row):
        obis, address, function, kind, low_word_first, unit, scaler, scale = row
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


class MeterProfile:
    """The register map of one meter model.

    data: the compact form of a file in firmware/meters, made on the host. Keys: model,
    max_registers and max_gap (of one request), undefined (1: all bits set, for signed all but
    the sign, means no value), registers: rows of [obis (12 hex digits), address, function, type,
    low_word_first, DLMS unit, scaler, scale]; see Register. Other keys are left alone.
    Raises BadProfile.

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
        if not self._registers or not 1 <= self.max_registers <= MAX_REGISTERS:
            raise BadProfile("%s: no registers, or max_registers" % self.model)

    @property
    def obis_codes(self):
        """The six-byte codes of all values this meter gives."""
        return [register.obis for register in self._registers]

    def plan(self, obis_list, max_registers=None, max_gap=None):
        """The fewest reads that give these values: [(function, address, count)], ascending.

        obis_list: six-byte codes. max_registers: most registers of one read; max_gap: most
        registers read along that nobody asked for, between two that somebody did (a meter may
        refuse addresses it does not list). Both default to the profile's.
        Raises ValueError for a code this meter does not give, or one wider than max_registers.
        """
        limit = self.max_registers if max_registers is None else max_registers
        gap = self.max_gap if max_gap is None else max_gap
        reads = []
        for register in self._sorted(obis_list):
            if register.end - register.address > limit:
                raise ValueError("register wider than max_registers")
            if reads:
                function, address, end = reads[-1]
                fits = register.address <= end + gap and register.end <= address + limit
                if function == register.function and fits:
                    reads[-1] = (function, address, max(end, register.end))
                    continue
            reads.append((register.function, register.address, register.end))
        return [(function, address, end - address) for function, address, end in reads]

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

    def _sorted(self, obis_list):
        wanted = []
        for register in self._registers:
            if register.obis in obis_list:
                wanted.append(register)
        known = self.obis_codes
        for obis in obis_list:
            if obis not in known:
                raise ValueError("%s has no register for OBIS %r" % (self.model, obis))
        return sorted(wanted, key=lambda register: (register.function, register.address))

    def _raw(self, register, payload, at):
        """The register's value in units of 10**scaler, or None, refused and counted."""
        if at + 2 * (register.end - register.address) > len(payload):
            return self._refuse(register, CUT)
        bits = _join(payload, at, register.end - register.address, register.low_word_first)
        exponent = register.scale - register.scaler
        if register.kind == "f32":
            raw = f32_scaled(bits, exponent)
            if raw is None:
                return self._refuse(register, NOT_FINITE)
        else:
            width = 16 * (register.end - register.address)
            signed = register.kind[0] == "i"
            if self._undefined and bits == (1 << (width - signed)) - 1:
                return self._refuse(register, UNDEFINED)
            if signed and bits >> (width - 1):
                bits -= 1 << width
            raw = scaled(bits, 0, exponent)
        if abs(raw) > MAX_RAW:
            return self._refuse(register, TOO_LARGE)
        return raw

    def _refuse(self, register, reason):
        self.refused[reason] = self.refused.get(reason, 0) + 1
        self.last_refused.append((register.obis, reason))


def _join(payload, at, words, low_word_first):
    """The unsigned number in `words` registers; bytes within a register are big endian."""
    bits = 0
    for index in range(words):
        place = at + 2 * (words - 1 - index if low_word_first else index)
        bits = bits << 16 | payload[place] << 8 | payload[place + 1]
    return bits


def f32_scaled(bits, exponent):
    """The IEEE 754 single `bits`, times 10**exponent, as the nearest integer; None if not finite.

    Ties go away from zero; -0 is 0. With exponent = -resolution this is the nearest multiple of
    the meter's resolution: what the meter counted, as long as a float step is finer than that.
    """
    biased = bits >> 23 & 0xFF
    mantissa = bits & 0x7FFFFF
    if biased == 0xFF:
        return None
    if biased:
        mantissa |= 0x800000
    else:
        biased = 1  # a subnormal has the smallest exponent and no hidden bit
    if bits >> 31:
        mantissa = -mantissa
    return scaled(mantissa, biased - 150, exponent)


def scaled(mantissa, exponent2, exponent10):
    """mantissa * 2**exponent2 * 10**exponent10 as the nearest integer, ties away from zero."""
    above = abs(mantissa)
    below = 1
    if exponent10 < 0:
        below = 10**-exponent10
    else:
        above *= 10**exponent10
    if exponent2 < 0:
        below <<= -exponent2
    else:
        above <<= exponent2
    nearest = (2 * above + below) // (2 * below)
    return -nearest if mantissa < 0 else nearest
