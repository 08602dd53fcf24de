"""What an event of the log says in one sentence, for the timeline and the report.

A table names a template for each event; an event that is not in it is told by its name and its
details, so that none is lost. In a template `{field}` is a field of `detail` or one made here,
and a part in brackets is left out when one of its fields is not there.
"""

import re
from typing import Any, NamedTuple

from clsbench.report.quantity import Energy, clean, clock_text, shortened
from clsbench.report.series import register, text_of

_LENGTH = 160
_DETAILS = 6
_PART = re.compile(r"\[([^\[\]]*)\]|([^\[\]]+)")
_FIELD = re.compile(r"\{(\w+)\}")

ALWAYS = "always"
TROUBLE = "trouble"  # only when it is not ok: another line tells the good case
POLL = "poll"  # many in a second: only when good turns to bad, or back


class Line(NamedTuple):
    """How an event is told, and whether the timeline tells it."""

    template: str
    shown: str = ALWAYS


TABLE = {
    # GWA and the connections
    "gwa.order.connect": Line("orders a channel to SMGW {smgw_id}"),
    "gwa.order.disconnect": Line("orders the end of the channel to SMGW {smgw_id}"),
    "gwa.connect": Line("Connect to EMT {emt_id}"),
    "gwa.connect.answer": Line("Connect to EMT {emt_id}: {status}", TROUBLE),
    "gwa.disconnect": Line("Disconnect from EMT {emt_id}"),
    "gwa.disconnect.answer": Line("Disconnect from EMT {emt_id}: {status}", TROUBLE),
    "gwa.refused": Line("GWA refuses[ {peer}][ ({status})]"),
    "gwa.tls-refused": Line("GWA refuses a connection[ from {address}]"),
    "management": Line("management connection of {smgw_id} is {state}"),
    "channel": Line("channel of {smgw_id} is {state}"),
    "connect": Line("Connect to EMT {emt_id} taken", TROUBLE),
    "disconnect": Line("Disconnect from EMT {emt_id} taken"),
    "channel.open": Line("{channel} channel open to {peer}"),
    "channel.closed": Line("{channel} channel to {peer} closed[: {reason}]"),
    "channel.failed": Line("{channel} channel to {peer} failed"),
    "delivery.open": Line("delivery connection open to {emt}"),
    "delivery.failed": Line("delivery to {emt} failed"),
    "start": Line("gateway is up[, HAN port {han_port}]"),
    "stop": Line("gateway stops"),
    "tls.accepted": Line("{interface} connection of {peer} accepted"),
    "tls.refused": Line("{interface} connection refused[ from {subject}]"),
    "han.refused": Line("HAN request[ of {subject}] refused[ ({status})]"),
    "wan.refused": Line("WAN request[ of {subject}] refused[ ({status})]"),
    "emt.tls-refused": Line("aEMT refuses a connection[ to its {port} port]"),
    "profile.changed": Line("{what}"),
    "channel.ended": Line("channel ended: {why}"),
    "certificate.requested": Line("new keys made, certificates requested"),
    "gwa.renew.certify": Line("certificates for the new keys of {smgw_id}"),
    "certificate.renewed": Line("{cn}: {file} renewed"),
    # a command on its way
    "switch.step": Line("step {step} of 7: {what}[, {action}][ {uuid8}]"),
    "switch.command": Line("command {action} {uuid8} for {cls_id}", TROUBLE),
    "switch.retry": Line("command {action} {uuid8} to be sent again"),
    "switch.answer": Line("command {uuid8} {state}[, code {code}][, device record {seq}]"),
    "command.in": Line("command {action} {uuid8}[ '{text}']"),
    "command.forwarded": Line("command {action} {uuid8} handed to {cls_id}"),
    "command.reply": Line("answer to {uuid8}: code {code}[, record {seq}]", TROUBLE),
    "command.answered": Line("answer to {uuid8} passed on: code {code}", TROUBLE),
    "relay.closed": Line("relay closed"),
    "relay.opened": Line("relay opened"),
    "load.power": Line("load draws {power_w} W", POLL),
    # records and readings
    "device.taf7": Line(
        "quarter hour {due} recorded: record {seq}, register {register}[, {increase}]"
    ),
    "device.taf16": Line(
        "record {seq}: {event}[ {uuid8}][, register {register}][, transaction {drawn}]"
    ),
    "record.broken": Line("record {seq} does not verify"),
    "event.announced": Line("event {event} {uuid8} announced"),
    "lmn.reading": Line("reading of {meter_id}[: {register}]", TROUBLE),
    "record.written": Line(
        "TAF16 record {seq} signed: {event}[ {uuid8}][, register {register}][, "
        "transaction {drawn}]"
    ),
    "taf7.record": Line(
        "quarter hour {due} signed: TAF7 record {seq}, register {register}[, {increase}]"
    ),
    "taf7.gap": Line("quarter hour {due}: no reading, TAF7 record {seq} says so"),
    "device.record": Line("sealed device record {seq} handed over", TROUBLE),
    "delivery.record": Line("gateway record {seq} of {profile_id} delivered", TROUBLE),
    "delivery.device": Line("device records {seqs} delivered", TROUBLE),
    "record.gateway": Line("{type} record {seq} stored, signature good"),
    "record.device": Line("device record {seq} stored[, {event}]"),
    "record.signature": Line("gateway record refused"),
    "record.sender": Line("gateway record refused"),
    "record.conflict": Line("gateway record refused"),
    "delivery.role": Line("delivery refused"),
    "cls-record.unknown": Line("device records refused"),
    "cls-record.sender": Line("device records refused"),
    "cls-record.refused": Line("device records refused"),
    # meters
    "modbus.request": Line("reads {count} registers from {address}", POLL),
    "modbus.reply": Line("answers with {count} registers from {address}", POLL),
    "modbus.silent": Line("does not answer", POLL),
    "lmn.open": Line("LMN line open[ at {baud} Bd]", TROUBLE),
    "lmn.learnt": Line("meter {meter_id} heard on the LMN"),
    "lmn.lost": Line("LMN line lost"),
    "lmn.discarded": Line("telegrams discarded[: {discarded}]"),
    # the bench's view of the device
    "device.recorded": Line("{text}", TROUBLE),
    "device.announced": Line("{text}", TROUBLE),
    "link.silent": Line("bench link is silent"),
}


class Teller:
    """Tells events in their order; remembers registers to tell what was drawn between them."""

    def __init__(self) -> None:
        self._quarters: dict[str, Energy] = {}
        self._begins: dict[tuple[str, str], Energy] = {}

    def tell(self, event: dict[str, Any]) -> str:
        """The sentence, without control characters. Total: any event, any details."""
        name = str(event.get("name", ""))
        raw_detail = event.get("detail")
        detail = raw_detail if isinstance(raw_detail, dict) else {}
        fields = detail | self._made(event, name, detail)
        line = TABLE.get(name)
        if line is not None:
            sentence = _filled(line.template, fields)
        elif event.get("kind") == "check":
            sentence = f"check {name}: {fields.get('text', '')}"
        elif name.startswith("device.") and fields.get("text"):
            sentence = _filled("{text}", fields)
        else:
            sentence = _generic(name, detail)
        if not event.get("ok", True):
            sentence += _reason(sentence, detail)
        return clean(shortened(sentence, 2 * _LENGTH))

    def _made(self, event: dict[str, Any], name: str, detail: dict[str, Any]) -> dict[str, str]:
        made = {}
        uuid = event.get("uuid")
        if isinstance(uuid, str):
            made["uuid8"] = uuid[:8]
        if type(detail.get("due_ms")) is int:
            made["due"] = clock_text(detail["due_ms"], "m")
        reading = register(detail)
        if reading is None:
            return made
        made["register"] = reading.kwh()
        if name in ("device.taf7", "taf7.record"):
            if (before := self._quarters.get(name)) is not None:
                increase = reading - before
                made["increase"] = ("+" if increase.raw >= 0 else "") + increase.kwh()
            self._quarters[name] = reading
        elif name in ("device.taf16", "record.written") and isinstance(uuid, str):
            if detail.get("event") == "begin":
                self._begins[name, uuid] = reading
            elif (before := self._begins.pop((name, uuid), None)) is not None:
                made["drawn"] = (reading - before).kwh()
        return made


def _filled(template: str, fields: dict[str, Any]) -> str:
    told = ""
    for optional, plain in _PART.findall(template):
        names = _FIELD.findall(optional or plain)
        if optional and any(fields.get(name) in (None, "") for name in names):
            continue
        told += _FIELD.sub(lambda found: _value(fields.get(found[1])), optional or plain)
    return told


def _generic(name: str, detail: dict[str, Any]) -> str:
    shown = [f"{key} {_value(value)}" for key, value in list(detail.items())[:_DETAILS]]
    return f"{name or 'event without a name'}: {', '.join(shown)}" if shown else name


def _reason(sentence: str, detail: dict[str, Any]) -> str:
    for key in ("reason", "answer", "error", "text"):
        reason = detail.get(key)
        if reason and str(reason) not in sentence:
            return f": {_value(reason)}"
    return ""


def _value(value: Any) -> str:
    if isinstance(value, dict):
        value = ", ".join(f"{key} {text_of(item)}" for key, item in value.items())
    elif isinstance(value, list):
        value = ", ".join(text_of(item) for item in value)
    return shortened("?" if value is None else text_of(value), _LENGTH)
