"""Words for the quirks of SML meters: what each means, and which family of meters shows it."""

from typing import NamedTuple

from clsbench.meters import sml_document as seen
from dicamm.proto import sml_entry as form
from dicamm.proto import sml_odd as odd
from dicamm.proto.sml_quirks import SIGNED_POWER


class Quirk(NamedTuple):
    """meaning: for people. family: the meters known for it."""

    meaning: str
    family: str


_SERIALS = ", ".join(f"{first} to {last}" for first, last in SIGNED_POWER[0][1])

_NONE = "none yet"

QUIRKS = {
    SIGNED_POWER[0][4]: Quirk(
        "positive power sent as a signed number; raw is put right, raw_sent as sent",
        f"DZG DVS74, serials {_SERIALS}",
    ),
    form.TRANSPORT_CRC_KERMIT: Quirk("CRC-16/KERMIT in place of X-25", "Holley DTZ541"),
    form.MESSAGE_CRC_KERMIT: Quirk("CRC-16/KERMIT inside in place of X-25", "Holley DTZ541"),
    form.VAL_TIME_WITHOUT_CHOICE: Quirk("a bare number as time", "Holley DTZ541"),
    form.SENSOR_TIME_WITHOUT_CHOICE: Quirk("a bare number as the sensor's time", "Holley DTZ541"),
    form.MESSAGE_CRC_ONE_BYTE: Quirk("a checksum 0x00nn sent as one byte", "ISKRA MT691"),
    form.LITERAL_ESCAPE: Quirk(
        "the data holds the escape sequence, sent twice as it should be", "any, as numbers fall"
    ),
    form.LENGTH_NOT_MULTIPLE_OF_4: Quirk(
        "not filled to four bytes", "any, where the line loses bytes"
    ),
    form.PAYLOAD_WITHOUT_TRANSPORT: Quirk(
        "messages without a frame, so without its checksum", "readers that hand messages on"
    ),
    seen.MESSAGE_CRC_BAD: Quirk(
        "the checksum of a message inside is wrong; nothing of it is used",
        "captures changed by hand, such as with ids made unreadable",
    ),
    seen.LIST_WITH_TWO_BYTE_TL: Quirk(
        "16 and more entries, counted in two bytes", "any with many registers"
    ),
    seen.ENTRY_WITHOUT_VALUE: Quirk("an entry that has no value", "EMH eHZ IW8E2A5"),
    seen.TIME_AS_VALUE: Quirk("a time where a number is usual", "EMH meters in chargers"),
    seen.VAL_TIME_LOCAL: Quirk(
        "a local time with its offsets", "EMH meters in chargers, FROETEC Multiflex ZG22"
    ),
    odd.STATUS: Quirk("a status that is no number of up to 8 bytes", _NONE),
    odd.VAL_TIME: Quirk("a time of no form that the standard knows", _NONE),
    odd.SENSOR_TIME: Quirk("a sensor's time of no form that the standard knows", _NONE),
    odd.UNIT: Quirk("a unit that is no number of one byte; not told", _NONE),
    odd.SCALER: Quirk(
        "a scaler sent as an unsigned number, or that cannot be; then the value is not told", _NONE
    ),
    odd.VALUE: Quirk("a value of no type that the standard knows; raw is as sent", _NONE),
    odd.LENGTH: Quirk("an entry with more or fewer fields than the standard's seven", _NONE),
    odd.LIST_LENGTH: Quirk("a value list with more or fewer fields than seven", _NONE),
}


def words(name: str) -> str:
    """One line about a quirk."""
    meaning, family = QUIRKS[name]
    return f"{name}: {meaning}. Known of: {family}."
