"""What a DICAMM says, in lines for people: status, log, records, time.

Pure: documents in, text out. The words of the device's numbers are `dicamm.code_texts`.
"""

from collections.abc import Mapping
from typing import Any

from clsbench.clock import iso
from clsbench.device.records import TIME_STATES
from dicamm import code_texts

_UNITS = {27: "W", 30: "Wh"}  # DLMS unit codes, IEC 62056-6-2


def code_text(code: int, words: str = "") -> str:
    """`another transaction is open (code 3 OTHER_OPEN)`; words: what the device adds."""
    name, _severity, _text = code_texts.entry(code)
    text = code_texts.describe(code)
    return f"{text}{f': {words}' if words else ''} (code {code} {name})"


def time_state(number: int) -> str:
    """unset, synchronised or holdover."""
    return TIME_STATES.get(number, f"state {number}")


def status_lines(hello: Mapping[str, Any], state: Mapping[str, Any]) -> list[str]:
    """The table of `clsbench status`."""
    rows = [
        ("relay", _relay(state)),
        ("transaction", state["open_uuid"] or "none open"),
        ("journal", _journal(state["journal"])),
        ("meter", _meter(hello["meter_id"], state["meter"])),
        ("bus discards", _counts(state["meter"]["discarded"])),
        ("time", _time(state["time"])),
        ("quarter hours", f"{state['time']['quarter_hours_missed']} missed"),
        ("heap", _heap(state["heap"])),
        ("gateway", _gateway(state["gateway"])),
        ("link discards", _counts(state["link"]["discarded"] | _malformed(state["link"]))),
        ("restarts", _counts(state["restarts"])),
    ]
    head = (
        f"DICAMM {hello['device_id']} on board {hello['board']}, firmware {hello['version']}, "
        f"up {_duration(hello['mono_ms'])}"
    )
    return [head, *(f"  {name:14} {text}" for name, text in rows)]


def log_entry(mono_ms: int, code: int, arguments: list[Any]) -> dict[str, Any]:
    """One entry of the device's log as a document."""
    name, severity, _text = code_texts.entry(code)
    return {
        "mono_ms": mono_ms,
        "code": code,
        "name": name,
        "severity": severity,
        "args": [arg.hex() if isinstance(arg, bytes) else arg for arg in arguments],
        "text": code_texts.describe(code, arguments),
    }


def log_line(entry: Mapping[str, Any]) -> str:
    """The entry for people; time since the device's start."""
    seconds = f"{entry['mono_ms'] / 1000:.3f} s"
    return f"{seconds:>13}  {entry['severity']:7}  {entry['name']:20} {entry['text']}"


def record_lines(document: Mapping[str, Any]) -> list[str]:
    """What `clsbench records` found."""
    lines = [_record(record) for record in document["records"]]
    count = f"{len(lines)} readable records of {document['device_id']}"
    if document["seal"] == "not checked":
        lines.append(f"{count}; seal not checked: give --key FILE")
    elif document["findings"]:
        lines.append(f"{count}; findings: {len(document['findings'])}")
    else:
        lines.append(f"{count}; every seal holds, the chain holds")
    lines += [f"  {text}" for text in document["findings"]]
    if document["acknowledged"] is not None:
        lines.append(f"acknowledged up to record {document['acknowledged']}")
    return lines


def received_lines(device_id: str, db: str, result: Mapping[str, Any]) -> list[str]:
    """What `clsbench records --db` has taken."""
    lines = [
        f"{len(result['stored'])} new records of {device_id} in {db}, none missing up to "
        f"{result['acknowledged']}"
    ]
    lines += [f"  missing: {first} to {last}" for first, last in result["missing"]]
    lines += [f"  refused: {text}" for text in result["refused"]]
    if result["given_way"] is not None:
        lines.append(f"the device may let records up to {result['given_way']} give way")
    return lines


def time_lines(found: Mapping[str, Any]) -> list[str]:
    """The two times of `clsbench time` and what is between them."""
    here = f"machine  {iso(found['host_utc_ms'])}"
    if found["device_utc_ms"] is None:
        return ["device   no time known", here]
    deviation = found["deviation_ms"]
    order = "ahead of" if deviation > 0 else "behind"
    return [
        f"device   {iso(found['device_utc_ms'])}  {found['state']}, within {found['bound_ms']} ms",
        here,
        f"the device is {abs(deviation)} ms {order} this machine "
        f"(known to {found['uncertainty_ms']} ms)",
    ]


def _relay(state: Mapping[str, Any]) -> str:
    locked = ", ".join(state["locked"])
    return ("closed" if state["relay_closed"] else "open") + (f", locked: {locked}" * bool(locked))


def _journal(journal: Mapping[str, Any]) -> str:
    if not journal["newest"]:
        return f"empty, room for {journal['capacity']}"
    return (
        f"records {journal['oldest']} to {journal['newest']}, room for {journal['capacity']}; "
        f"{journal['unacknowledged']} not acknowledged, {journal['dropped']} dropped, "
        f"{journal['torn']} torn"
    )


def _meter(meter_id: str, meter: Mapping[str, Any]) -> str:
    health = "healthy" if meter["healthy"] else "FAILED"
    error = f", last error: {code_text(meter['error'])}" if meter["error"] else ""
    reads = f"{meter['good_reads']} good reads, {meter['failed_reads']} failed"
    return f"{meter_id} {health}{error}; {reads}"


def _time(time: Mapping[str, Any]) -> str:
    name = time_state(time["state"])
    if time["utc_ms"] is None:
        return name
    ignored = f"; {time['ignored']} worse offers ignored" if time["ignored"] else ""
    return f"{iso(time['utc_ms'])} {name}, within {time['bound_ms']} ms{ignored}"


def _heap(heap: Mapping[str, int]) -> str:
    total = heap["allocated"] + heap["free"]
    share = 100 * heap["allocated"] // total
    return f"{heap['allocated']} of {total} bytes allocated ({share} %)"


def _gateway(gateway: Mapping[str, int]) -> str:
    if not gateway["requests"] and not gateway["failures"]:
        return "none asked"
    return f"{gateway['requests']} requests, {gateway['failures']} failures"


def _malformed(link: Mapping[str, Any]) -> dict[str, int]:
    return {"malformed": link["malformed"]}


def _counts(counts: Mapping[Any, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items() if count) or "none"


def _record(record: Mapping[str, Any]) -> str:
    captured = iso(record["captured_ms"]) if record["captured_ms"] is not None else "time unset"
    values = " ".join(_value(value) for value in record["values"])
    event = f"{record['event']} {record['uuid']}" if record["event"] else ""
    text = f"  {record['text']!r}" if record["text"] else ""
    head = f"{record['seq']:>6}  TAF{record['taf']:<2}  {captured:24}  {record['time_state']:12}"
    return f"{head}  {values}  {event}{text}".rstrip()


def _value(value: Mapping[str, Any]) -> str:
    unit = _UNITS.get(value["unit"], f"unit {value['unit']}")
    power = f"e{value['scaler']}" if value["scaler"] else ""
    return f"{value['obis']} = {value['raw']}{power} {unit}"


def _duration(mono_ms: int) -> str:
    seconds = mono_ms // 1000
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
