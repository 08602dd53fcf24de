"""What the numbers of `dicamm.codes` are called and mean, for people. For the host only.

Knows names, severities and English texts; not who reported a code, nor when.
A text has a place `{name}` for each argument, in the order in which the device gives them;
`{name|first|second}` shows the number 0 as `first`, 1 as `second`; what stands in brackets is left
out when its arguments were not given (an answer carries the code alone, a log entry more).
"""

from dicamm import codes

INFO = "info"  # the normal course of things
WARNING = "warning"  # refused or degraded; the device copes alone
FAULT = "fault"  # somebody has to look

_EVENTS = "begin|end|change|refused|failsafe|tamper|power-fail|boot|meter-fault|update"
_RESETS = "power on|reset pin or button|watchdog|deep sleep|software"

# number -> (name, severity, text)
CODES = {
    codes.OK: ("OK", INFO, "done"),
    codes.UNKNOWN_ACTION: (
        "UNKNOWN_ACTION",
        WARNING,
        "the action is not begin, end, change or limit",
    ),
    codes.BAD_UUID: ("BAD_UUID", WARNING, "the UUID is missing or not 16 bytes"),
    codes.OTHER_OPEN: ("OTHER_OPEN", WARNING, "another transaction is open"),
    codes.NOT_OPEN: ("NOT_OPEN", WARNING, "no transaction with this UUID is open"),
    codes.METER_UNHEALTHY: (
        "METER_UNHEALTHY",
        FAULT,
        "the meter gives no good readings, so nothing is switched on",
    ),
    codes.JOURNAL_FULL: (
        "JOURNAL_FULL",
        FAULT,
        "the journal is full of records that nobody has acknowledged",
    ),
    codes.NOT_PROVISIONED: (
        "NOT_PROVISIONED",
        FAULT,
        "the device has not been given its identity and keys[: {what} missing]",
    ),
    codes.INTERLOCKED: ("INTERLOCKED", WARNING, "the relay is locked[: {reason}]"),
    codes.NO_TARIFF_PROFILE: (
        "NO_TARIFF_PROFILE",
        WARNING,
        "the gateway has no TAF16 profile for this event",
    ),
    codes.BAD_TEXT: ("BAD_TEXT", WARNING, "the text is no text or longer than 64 bytes"),
    codes.BAD_TIME: ("BAD_TIME", WARNING, "the time is not in UTC milliseconds"),
    codes.BAD_MESSAGE: ("BAD_MESSAGE", WARNING, "a field of the message is missing or wrong"),
    codes.UNKNOWN_MESSAGE: ("UNKNOWN_MESSAGE", WARNING, "the message type is unknown"),
    codes.NOT_ALLOWED: ("NOT_ALLOWED", WARNING, "nobody may ask this over this link"),
    codes.BAD_LIMIT: ("BAD_LIMIT", WARNING, "limit or duration is missing, or out of range"),
    codes.METER_TIMEOUT: (
        "METER_TIMEOUT",
        FAULT,
        "the meter did not answer[ ({failures} in a row)]",
    ),
    codes.METER_SHORT: (
        "METER_SHORT",
        FAULT,
        "the meter's answer broke off[ ({failures} in a row)]",
    ),
    codes.METER_CRC: (
        "METER_CRC",
        FAULT,
        "the meter's answer has a wrong checksum[ ({failures} in a row)]",
    ),
    codes.METER_WRONG_UNIT: (
        "METER_WRONG_UNIT",
        FAULT,
        "another unit answered on the meter's bus[ ({failures} in a row)]",
    ),
    codes.METER_WRONG_FUNCTION: (
        "METER_WRONG_FUNCTION",
        FAULT,
        "the meter answered to another function[ ({failures} in a row)]",
    ),
    codes.METER_WRONG_LENGTH: (
        "METER_WRONG_LENGTH",
        FAULT,
        "the meter answered with another number of bytes[ ({failures} in a row)]",
    ),
    codes.METER_WRONG_CONTENT: (
        "METER_WRONG_CONTENT",
        FAULT,
        "the meter confirmed another write than was sent[ ({failures} in a row)]",
    ),
    codes.METER_EXCEPTION: (
        "METER_EXCEPTION",
        FAULT,
        "the meter refused the request[ ({failures} in a row)]",
    ),
    codes.METER_VALUE: (
        "METER_VALUE",
        FAULT,
        "the meter gave no valid number for a register[ ({failures} in a row)]",
    ),
    codes.METER_LOST: ("METER_LOST", FAULT, "the meter counts as failed"),
    codes.METER_BACK: ("METER_BACK", INFO, "the meter gives good readings"),
    codes.HAN_CONNECTION: ("HAN_CONNECTION", WARNING, "no connection to the gateway"),
    codes.HAN_TLS: (
        "HAN_TLS",
        FAULT,
        "the gateway and the device refuse each other's certificate",
    ),
    codes.HAN_HTTP: ("HAN_HTTP", WARNING, "the gateway's answer is no HTTP"),
    codes.HAN_CONTENT: (
        "HAN_CONTENT",
        WARNING,
        "the gateway's message lacks a field or is no JSON",
    ),
    codes.HAN_SILENT: ("HAN_SILENT", WARNING, "the gateway did not answer in time"),
    codes.HAN_REFUSED: ("HAN_REFUSED", WARNING, "the gateway refused[ with status {status}]"),
    codes.GATEWAY_TIME_UNSET: ("GATEWAY_TIME_UNSET", WARNING, "the gateway has no legal time"),
    codes.ANNOUNCED: (
        "ANNOUNCED",
        INFO,
        "event of record {seq} announced, gateway record {gateway_seq}",
    ),
    codes.ANNOUNCEMENT_REFUSED: (
        "ANNOUNCEMENT_REFUSED",
        WARNING,
        "the gateway will not take the event of record {seq}, status {status}",
    ),
    codes.CBOR_MALFORMED: ("CBOR_MALFORMED", WARNING, "a message is no deterministic CBOR"),
    codes.RECORDED: ("RECORDED", INFO, "{event|?|" + _EVENTS + "} recorded, record {seq}"),
    codes.QUARTER_HOUR_MISSED: (
        "QUARTER_HOUR_MISSED",
        WARNING,
        "quarter-hour readings missed: {count}",
    ),
    codes.RECORD_TORN: ("RECORD_TORN", INFO, "records cut short by a power failure: {count}"),
    codes.STORAGE_FAILED: ("STORAGE_FAILED", FAULT, "the record flash failed[ ({what})]"),
    codes.SETTINGS_DAMAGED: (
        "SETTINGS_DAMAGED",
        FAULT,
        "the stored setting {key} is damaged, its default holds",
    ),
    codes.TIME_STATE: (
        "TIME_STATE",
        INFO,
        "legal time is {state|unset|synchronised|in holdover}[, within {bound_ms} ms]",
    ),
    codes.TIME_STEPPED: ("TIME_STEPPED", WARNING, "legal time was corrected by {step_ms} ms"),
    codes.BOOTED: (
        "BOOTED",
        INFO,
        "started after {cause|?|" + _RESETS + "}[, newest record {seq}]",
    ),
    codes.TASK_RESTARTED: ("TASK_RESTARTED", FAULT, "task {task} restarted after {error}"),
    codes.TASK_HUNG: ("TASK_HUNG", FAULT, "task {task} does not report, the watchdog will bite"),
    codes.HANDED_OVER: ("HANDED_OVER", INFO, "the port was handed over to the REPL"),
    codes.POWER_FAIL_FOUND: (
        "POWER_FAIL_FOUND",
        WARNING,
        "a transaction was open when power failed, its end is recorded now",
    ),
    codes.INPUT_ACTIVE: (
        "INPUT_ACTIVE",
        FAULT,
        "the input for {event|?|" + _EVENTS + "} is active, the relay stays open",
    ),
    codes.INPUT_QUIET: (
        "INPUT_QUIET",
        INFO,
        "the input for {event|?|" + _EVENTS + "} is quiet again",
    ),
    codes.UPDATE_REFUSED: ("UPDATE_REFUSED", WARNING, "the update was refused"),
    codes.LIMIT_OVER: ("LIMIT_OVER", INFO, "the time of a limit is over"),
    codes.CHANNEL_OPEN: (
        "CHANNEL_OPEN",
        INFO,
        "the channel to the aEMT is open, {by|through the gateway|by the gateway}",
    ),
    codes.CHANNEL_CLOSED: ("CHANNEL_CLOSED", INFO, "the channel to the aEMT is closed: {why}"),
    codes.CHANNEL_REFUSED: (
        "CHANNEL_REFUSED",
        WARNING,
        "the gateway opens no channel to the aEMT, reply {code}",
    ),
    codes.CHANNEL_FAILED: ("CHANNEL_FAILED", WARNING, "no channel to the aEMT: {why}"),
}


def entry(code):
    """(name, severity, text) of a code; an unknown code is named by its number."""
    return CODES.get(code) or (
        "CODE_%s" % _shown(code),
        WARNING,
        "code %s, unknown here" % _shown(code),
    )


def describe(code, args=()):
    """The text of a code with its arguments filled in. Total: any code, any arguments.

    args: in the device's order; bytes are shown in hex, control characters as "?", a missing one
    as "?". What the text has no place for is appended, unless it is empty or zero.
    """
    rest = list(args)
    text = ""
    for index, part in enumerate(entry(code)[2].replace("]", "[").split("[")):
        text += _filled(part, rest, index % 2 == 1)
    surplus = [_shown(value) for value in rest if value]
    return text + (" [" + ", ".join(surplus) + "]" if surplus else "")


def _filled(part, rest, optional):
    first, *places = part.split("{")
    if optional and len(rest) < len(places):
        return ""
    text = first
    for place in places:
        spec, _, tail = place.partition("}")
        text += _chosen(rest.pop(0), spec.split("|")[1:]) if rest else "?"
        text += tail
    return text


def _chosen(value, names):
    if isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    return _shown(value)


def _shown(value):
    if isinstance(value, (bytes, bytearray)):
        return "".join(["%02x" % byte for byte in value])
    shown = ""
    for character in str(value):
        control = character < " " or "\x7f" <= character < "\xa0"
        shown += "?" if control else character
    return shown
