"""Words for what `dicamm.proto.sml_diagnosis` finds on a meter's line, and what to do next."""

from dicamm.proto import sml_diagnosis as found

_ADVICE = {
    found.NO_BYTES: (
        "not one byte came",
        "check cable, port and power of the reading head; that it sits on the meter's info "
        "interface, its magnet and receiver the right way round; and that the meter sends at all "
        "(some are silent until the PIN is entered or a menu entry is on)",
    ),
    found.ONE_BYTE_VALUE: (
        "{number} bytes came, all the same",
        "the line stands at one level or swings by itself: check polarity of A/B or of the "
        "reading head, its supply, and light from outside",
    ),
    found.NO_START: (
        "{number} bytes came, among them no start of an SML telegram",
        "check the speed (9600 baud 8N1 for SML) and the polarity; where messages are sent "
        "without transport, decode one of them from a file",
    ),
    found.TEXT: (
        "the meter sends text (IEC 62056-21, D0), not SML",
        "the readouts are decoded here too; for SML, change the meter's output or choose another",
    ),
    found.TEXT_BROKEN: (
        "{number} bytes of text came (IEC 62056-21?), no whole readout among them",
        "listen longer; a meter that sends text only when asked needs a request first",
    ),
    found.BAD_CHECKSUMS: (
        "{number} telegrams came with a wrong checksum",
        "bytes change on the way: move the reading head, shade it from light, shorten the cable, "
        "check termination and ground",
    ),
    found.LOST_BYTES: (
        "{number} telegrams broke off or hold what cannot be",
        "bytes get lost on the way: the reader is too slow or its buffer too small, or the head "
        "has slipped",
    ),
    found.BAD_MESSAGES: (
        "{number} messages inside good telegrams could not be used",
        "the meter itself sends them so: keep a capture and report it with the meter's type",
    ),
    found.PIN_MISSING: (
        "{number} telegrams show energy in whole kWh and no power",
        "enter the meter's PIN (from the metering point operator) and switch the full data set "
        "on (menu entry `InF on`)",
    ),
}


def advice(finding: str, number: int) -> str:
    """One line: what was found, and what to do about it."""
    what, remedy = _ADVICE[finding]
    return f"{what.format(number=number)}. {remedy[0].upper()}{remedy[1:]}."
