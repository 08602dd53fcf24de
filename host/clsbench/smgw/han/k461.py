"""XML of DKE K461 as PPC gateways export it: readings, a meter's profile, a log.

Prefixes are part of the format for the clients there are: `ns1` on the root, `ns2` for the
extension. Times are UTC. Knows no HTTP and no signature but the text it is given.
Source: exports that clients of the field read (`profile_generic-1`, `kaf_lmn_container-1`).
"""

from collections.abc import Callable, Iterable
from itertools import groupby
from xml.sax.saxutils import escape, quoteattr

from clsbench.smgw.core import status
from clsbench.smgw.core.logs import LogEntry
from clsbench.smgw.core.originals import Original
from clsbench.smgw.core.parties import MeterProfile
from clsbench.smgw.han.library import FIELD_SCALER, WH, event_number, raised
from clsbench.smgw.han.people import obis_hex
from clsbench.smgw.han.times import utc_text

METER_OBJECT = "01005e318002"
LOG_OBJECT = "0000636203ff"
CLASS_METER = 32809
VALID, NOT_PRESENT, INVALID = 0, 3, 4
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_GENERIC = 'xmlns:ns1="urn:k461-dke-de:profile_generic-1" xmlns:ns2="urn:k461-dke-de:extension-1"'
_CONTAINER = (
    'xmlns:adevs="urn:k461-dke-de:abstract_device_setup-1"'
    ' xmlns:adls="urn:k461-dke-de:abstract_device_lmn_setup-1"'
    ' xmlns:cox="urn:k461-dke-de:extension-1"'
    ' xmlns:ems="urn:k461-dke-de:e_meter_sensor_setup-1"'
    ' xmlns:klc="urn:k461-dke-de:kaf_lmn_container-1"'
)
_NOT_XML = {n: "?" for n in range(32) if n not in (9, 10, 13)}

Inner = Callable[..., str]


def logical_name(meter_id: str, head: str = METER_OBJECT) -> str:
    """`01005e318002.1emh0012345678.sm`."""
    return f"{head}.{meter_id.lower()}.sm"


def shown_status(ptb: int) -> int:
    """The PTB status as these exports tell it: 0 valid, 4 invalid."""
    return VALID if ptb in (status.PTB_OK, status.PTB_WARNING) else INVALID


def values(meter_id: str, rows: Iterable[Original], inner: Inner) -> bytes:
    """The readings of a meter, a column for each register, oldest first."""
    ordered = sorted(rows, key=lambda row: (row.obis, row.at_ms))
    columns = [(obis, list(own)) for obis, own in groupby(ordered, key=lambda row: row.obis)]
    names = [logical_name(meter_id, obis_hex(obis)) for obis, _ in columns]
    objects = "".join(
        f'<ns1:capture_object id="{n}"><ns2:logical_name>{name}</ns2:logical_name>'
        "</ns1:capture_object>"
        for n, name in enumerate(names, 1)
    )
    shown = "".join(
        f'<ns1:column id="{n}" count="{len(own)}">'
        f"{_entries(names[n - 1], own, inner)}</ns1:column>"
        for n, (_, own) in enumerate(columns, 1)
    )
    return (
        f'{_HEAD}<ns1:object class_id="7" class_version="1" id="{logical_name(meter_id)}"'
        f' {_GENERIC}><ns1:attributes count="2">'
        f'<ns1:capture_objects id="3" count="{len(columns)}">{objects}</ns1:capture_objects>'
        f'<ns1:buffer id="2"><ns1:simple_data count="{len(columns)}">{shown}</ns1:simple_data>'
        "</ns1:buffer></ns1:attributes></ns1:object>"
    ).encode()


def meter_profile(meter_id: str, profile: MeterProfile, registers: Iterable[str]) -> bytes:
    """The profile of a meter. registers: OBIS it delivers."""
    name = logical_name(meter_id, "00000000e001")
    shown = [
        f'<ems:value id="{n}">{obis_hex(obis)}</ems:value>' for n, obis in enumerate(registers, 1)
    ]
    return (
        f'{_HEAD}<klc:container id="{logical_name(meter_id, "00000000e000")}" {_CONTAINER}>'
        f'<klc:e_meter_device_object class_id="{CLASS_METER}" class_version="0" id="{name}">'
        f'<ems:attributes count="7"><cox:logical_name id="1">{name}</cox:logical_name>'
        f'<adevs:device_identifier id="2">{meter_id.lower()}</adevs:device_identifier>'
        '<adevs:device_type id="3">0</adevs:device_type>'
        f'<adevs:active id="4">{int(profile.active)}</adevs:active>'
        f'<adevs:samplerate id="5">{profile.period_s}</adevs:samplerate>'
        '<adls:com_type id="7">TLS</adls:com_type>'
        f'<ems:values count="{len(shown)}" id="16">{"".join(shown)}</ems:values>'
        "</ems:attributes></klc:e_meter_device_object></klc:container>"
    ).encode()


def logbook(smgw_id: str, entries: list[LogEntry]) -> bytes:
    """A log, newest first as given."""
    name = logical_name(smgw_id, LOG_OBJECT)
    shown = "".join(_log_entry(n, entry) for n, entry in enumerate(entries, 1))
    return (
        f'{_HEAD}<ns1:object class_id="7" class_version="1" id="{name}" {_GENERIC}>'
        f'<ns1:attributes count="2"><ns2:logical_name id="1">{name}</ns2:logical_name>'
        f'<ns1:buffer id="3"><ns1:logbook count="{len(entries)}">{shown}</ns1:logbook>'
        "</ns1:buffer></ns1:attributes></ns1:object>"
    ).encode()


def _entries(name: str, rows: list[Original], inner: Inner) -> str:
    return "".join(_entry(n, name, row, inner) for n, row in enumerate(rows, 1))


def _entry(number: int, name: str, row: Original, inner: Inner) -> str:
    scaler = FIELD_SCALER if row.unit == WH else row.scaler
    value = raised(row.raw or 0, row.scaler, scaler)
    captured, state = utc_text(row.captured_ms or row.at_ms), shown_status(row.ptb)
    signature = inner(name, state, captured, value, scaler, row.unit)
    return (
        f'<ns1:entry_gateway_signed id="{number}">'
        f"<ns2:value><ns2:long64>{value}</ns2:long64></ns2:value>"
        f"<ns2:scaler>{scaler}</ns2:scaler><ns2:unit>{row.unit}</ns2:unit>"
        f"<ns2:status><ns2:unsigned>{state}</ns2:unsigned></ns2:status>"
        f"<ns2:capture_time>{captured}</ns2:capture_time>"
        f"<ns2:smgw_signature>{signature}</ns2:smgw_signature></ns1:entry_gateway_signed>"
    )


def _log_entry(number: int, entry: LogEntry) -> str:
    template = f"{entry.event}: [Meldung]".replace("--", "-").translate(_NOT_XML)
    message = escape(entry.message.translate(_NOT_XML))
    subject = escape((entry.user or entry.subject).translate(_NOT_XML))
    return (
        f"<ns1:entry id={quoteattr(str(number))}>"
        f"<ns2:record_number>{entry.number}</ns2:record_number>"
        f"<ns2:parent_record_number>{entry.number}</ns2:parent_record_number>"
        "<ns2:repetition_counter>1</ns2:repetition_counter>"
        "<ns2:event><ns2:seconds_index>0</ns2:seconds_index>"
        f"<ns2:timestamp>{utc_text(entry.t_ms)}</ns2:timestamp>"
        f"<ns2:level>{entry.level}</ns2:level><ns2:type><ns2:version>1</ns2:version>"
        "<ns2:vendor_id>clsbench</ns2:vendor_id>"
        f"<ns2:event_id>{event_number(entry.event)}</ns2:event_id>"
        "<ns2:event_sub_id>0</ns2:event_sub_id></ns2:type>"
        f"<ns2:outcome>{entry.outcome}</ns2:outcome>"
        f"<ns2:subject_identity>{subject}</ns2:subject_identity>"
        f'<ns2:message_extensions count="1"><!--{escape(template)}-->'
        f'<ns2:message_extension id="1">{message}</ns2:message_extension>'
        "</ns2:message_extensions></ns2:event></ns1:entry>"
    )
