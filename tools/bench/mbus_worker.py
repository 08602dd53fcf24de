"""One measurement of M-Bus readers in MicroPython; one JSON line on stdout.

micropython -m mbus_worker time FILE ROUNDS   all readers in turn: ns per frame of each round
micropython -m mbus_worker heap FILE          bytes of heap per frame of each reader
micropython -m mbus_worker import WHO         bytes of heap that WHO ("ours", "peer") takes loaded
micropython -m mbus_worker live WHO FILE      reads the frames again and again in whatever heap
micropython -m mbus_worker judge FILE         for each frame: whether ours and the peer read it

FILE: frames, each behind two bytes with its length, the greater first.
"""

import gc
import json
import sys
import time


def frames(name):
    found = []
    with open(name, "rb") as file:
        while True:
            head = file.read(2)
            if not head:
                return found
            found.append(file.read(head[0] << 8 | head[1]))


class Ours:
    """Our reader, set up once, as a device uses it."""

    def __init__(self):  # imports are part of what is measured
        from dicamm.proto.mbus import MbusTelegram  # noqa: PLC0415
        from dicamm.proto.mbus_frame import DISCARD, MbusReceiver  # noqa: PLC0415

        self._discard = DISCARD
        self._receiver = MbusReceiver()
        self._telegram = MbusTelegram()

    def _records(self, data):
        receiver = self._receiver
        receiver.feed(data)
        event = receiver.next_event()
        if event is None or event.kind == self._discard:
            receiver.finish()
            while receiver.next_event() is not None:
                pass
            raise ValueError("frame")
        self._telegram.read(event.data)
        if self._telegram.error or self._telegram.kind > 2:
            raise ValueError("telegram")
        return self._telegram.records()

    def walk(self, data):
        """Where every record begins and what it measures."""
        records = self._records(data)
        following = records.next
        while following():
            pass
        if records.error:
            raise ValueError(records.error)

    def numbers(self, data):
        """The same, and every number."""
        records = self._records(data)
        following, raw = records.next, records.raw
        while following():
            raw()
        if records.error:
            raise ValueError(records.error)

    def everything(self, data):
        """The same, and every text and date."""
        records = self._records(data)
        while records.next():
            records.raw()
            records.text()
            records.name()


class Peer:
    """micropyMeterBus."""

    def __init__(self):
        import meterbus  # noqa: PLC0415

        self._load = meterbus.load

    def load(self, data):
        self._load(data)

    def to_json(self, data):
        self._load(data).to_JSON()


def readable(run, data):
    try:
        run(data)
        return True
    except Exception:  # noqa: BLE001 - whatever a peer raises is what is counted here
        return False


def survived(run, data):
    """As `readable`, but want of heap is told."""
    try:
        run(data)
        return True
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - as above
        return False


def both(name):
    """name -> (reader, the frames it is measured with: those the peer reads)."""
    ours, peer = Ours(), Peer()
    found = [data for data in frames(name) if readable(peer.load, data)]
    shown = [data for data in found if readable(peer.to_json, data)]
    return {
        "walk": (ours.walk, found),
        "numbers": (ours.numbers, found),
        "everything": (ours.everything, found),
        "load": (peer.load, found),
        "json": (peer.to_json, shown),
    }


def timed(name, rounds):
    readers = both(name)
    times = {key: [] for key in readers}
    for _ in range(rounds):
        for key in readers:
            run, found = readers[key]
            gc.collect()  # each pays for its own garbage
            begin = time.ticks_us()
            for data in found:
                run(data)
            spent = time.ticks_diff(time.ticks_us(), begin)
            times[key].append(spent * 1000 // len(found))
    return times


def garbage(name):
    readers = both(name)
    used = {}
    for key in readers:
        run, found = readers[key]
        total = 0
        for data in found:
            run(data)
            gc.collect()
            gc.disable()
            before = gc.mem_alloc()
            run(data)
            total += gc.mem_alloc() - before
            gc.enable()
        used[key] = total // len(found)
    return used


def loaded(who):
    gc.collect()
    before = gc.mem_alloc()
    if who == "ours":
        __import__("dicamm.proto.mbus")
        __import__("dicamm.proto.mbus_frame")
    else:
        __import__("meterbus")
    gc.collect()
    return gc.mem_alloc() - before


def live(who, name):
    """One frame of the file after the other, so that only the reader needs the heap."""
    run = Ours().everything if who == "ours" else Peer().load
    good = 0
    for _ in range(3):
        with open(name, "rb") as file:
            while True:
                head = file.read(2)
                if not head:
                    break
                data = file.read(head[0] << 8 | head[1])
                good += survived(run, data)
    return good


def main(what, *rest):
    if what == "time":
        return timed(rest[0], int(rest[1]))
    if what == "heap":
        return garbage(rest[0])
    if what == "import":
        return loaded(rest[0])
    if what == "live":
        return live(rest[0], rest[1])
    ours, peer = Ours(), Peer()
    return [
        [readable(ours.numbers, data), readable(peer.load, data), readable(peer.to_json, data)]
        for data in frames(rest[0])
    ]


print(json.dumps(main(*sys.argv[1:])))
