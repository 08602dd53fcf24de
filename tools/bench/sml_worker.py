"""Decodes the same telegrams again and again, one round for every line on stdin.

    micropython sml_worker.py WHO FILE ORDER      WHO: ours, values, bytecode, light, heap, last
    python      sml_worker.py WHO FILE ORDER      WHO: ours, values, smllib

Prints for each round the nanoseconds of CPU time per telegram. FILE: of each telegram two bytes
with the meter's number, two with the length (low byte first), then its bytes. ORDER: `row`, the
telegrams of each meter one after the other, five times; `file`, each once; `mixed`, each from
another meter than the one before. `heap` prints once the bytes that a telegram takes,
`last` the nanoseconds from its last byte to the reading.
"""
# ruff: noqa: PLC0415

import sys
import time

REPEAT = 5
ENOUGH_NS = 60_000_000  # for one round: MicroPython's clock ticks in milliseconds
LIGHT_CODES = (
    b"\x01\x00\x01\x08\x00\xff",
    b"\x01\x00\x02\x08\x00\xff",
    b"\x01\x00\x10\x07\x00\xff",
)


def telegrams(path, order):
    """The telegrams of the file, in order."""
    meters = {}
    with open(path, "rb") as file:
        while True:
            head = file.read(4)
            if not head:
                break
            meters.setdefault(head[0] | head[1] << 8, []).append(file.read(head[2] | head[3] << 8))
    if order != "mixed":
        times = REPEAT if order == "row" else 1
        return [data for found in meters.values() for data in found * times]
    longest = max(len(found) for found in meters.values())
    return [
        found[at % len(found)]
        for at in range(longest)
        for found in meters.values()
        if at < len(found) or at < REPEAT
    ]


def ours():
    """Every telegram decoded whole."""
    from dicamm.proto.sml import SmlReceiver

    receiver = SmlReceiver()

    def run(items):
        for data in items:
            receiver.feed(data)
            receiver.next_event()

    return run


def values():
    """The same, and every name, number, scaler and unit looked at."""
    from dicamm.proto.sml import SmlReceiver

    receiver = SmlReceiver()

    def run(items):
        for data in items:
            receiver.feed(data)
            for entry in receiver.next_event().data.entries:
                _ = entry.obis
                _ = entry.raw
                _ = entry.scaler
                _ = entry.unit

    return run


def bytecode():
    """Decoded whole without machine code."""
    from dicamm.proto import sml, sml_bytecode, sml_transport

    sml_transport.take = sml_bytecode.take
    sml.SmlPool = None
    return ours()


def light():
    """SmlParserLight: its checksum and three values."""
    import sml_parser_light as peer

    def run(items):
        for data in items:
            reader = peer.SmlStreamReader()
            reader.add(data)
            frame = reader.get_frame()
            if frame is None:
                continue  # a checksum that it does not know
            for code in LIGHT_CODES:
                try:  # noqa: SIM105
                    peer.sml_get_entry(frame, code)
                except (IndexError, TypeError, ValueError):
                    pass  # what it cannot read

    return run


def smllib():
    """smllib: the frame and all its messages."""
    from smllib import SmlStreamReader
    from smllib.errors import SmlLibException

    def run(items):
        for data in items:
            reader = SmlStreamReader()
            reader.add(data)
            try:  # noqa: SIM105
                reader.get_frame().parse_frame()
            except (SmlLibException, ValueError):
                pass  # what it refuses

    return run


def heap(items):
    """Bytes of heap that a telegram takes, reading all its values included."""
    import gc

    run = values()
    run(items)
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    run(items)
    print((gc.mem_alloc() - before) // len(items))


def last(items):
    """Nanoseconds from a telegram's last byte to its reading, the bytes before being there."""
    from dicamm.proto.sml import SmlReceiver

    receiver = SmlReceiver()
    spent = 0
    for data in items * REPEAT:
        for at in range(0, len(data) - 1, 16):
            receiver.feed(data[at : min(at + 16, len(data) - 1)])
        end = data[-1:]
        begin = time.ticks_us()
        receiver.feed(end)
        receiver.next_event()
        spent += time.ticks_us() - begin
    print(1000 * spent // (len(items) * REPEAT))


def main(who, path, order):
    items = telegrams(path, order)
    if who in ("heap", "last"):
        {"heap": heap, "last": last}[who](items)
        return
    run = {"ours": ours, "values": values, "bytecode": bytecode, "light": light, "smllib": smllib}[
        who
    ]()
    run(items)
    while sys.stdin.readline():
        begin = ticks()
        times = 0
        while times == 0 or ticks() - begin < ENOUGH_NS:
            run(items)
            times += 1
        print((ticks() - begin) // (times * len(items)))
        if hasattr(sys.stdout, "flush"):
            sys.stdout.flush()


if hasattr(time, "clock"):  # MicroPython's is the CPU's time too

    def ticks():
        return int(time.clock() * 1000000000)
else:

    def ticks():
        return time.process_time_ns()


main(*sys.argv[1:])
