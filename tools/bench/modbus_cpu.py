"""CPU time and heap of a Modbus transaction, both masters in turn; JSON on stdout. MicroPython.

micropython -m modbus_cpu ROUNDS             everything, interleaved
micropython -m modbus_cpu MASTER COUNT N     N transactions, for an instruction counter
"""

import gc
import json
import sys
import time

from modbus_masters import MASTERS, MemoryUart
from umodbus import const

from dicamm.proto import crc

BLOCK = 300  # transactions between two looks at the clock


def timed(run, block):
    """ns per run."""
    begin = time.ticks_us()
    for _ in range(block):
        run()
    return time.ticks_diff(time.ticks_us(), begin) * 1000 // block


def garbage(run):
    """Bytes of heap that one run takes."""
    for _ in range(3):
        run()
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(20):
        run()
    used = gc.mem_alloc() - before
    gc.enable()
    return used // 20


def check(peer, ours, count):
    """Both come to the same numbers."""
    MemoryUart.reply = peer.reply
    numbers = [number & 0xFFFF for number in peer.run()]
    assert numbers == list(ours.run())[:count]


def compare(rounds):
    """name -> {"ns": of each round, "heap": bytes}; "peer 2" is the peer with 2 registers."""
    result = {}
    for count in (2, 80):
        masters = {who: MASTERS[who](count) for who in MASTERS}
        check(masters["peer"], masters["ours"], count)
        MemoryUart.reply = masters["ours"].reply
        times = {who: [] for who in masters}
        for _ in range(rounds):
            for who in masters:
                times[who].append(timed(masters[who].run, BLOCK))
        for who in masters:
            heap = garbage(masters[who].run)
            result[f"{who} {count}"] = {"ns": times[who], "heap": heap}
    return result


def peer_crc(data):
    """The loop of the peer's _calculate_crc16, without its packing."""
    register = 0xFFFF
    for byte in data:
        register = (register >> 8) ^ const.CRC16_TABLE[((register) ^ byte) & 0xFF]
    return register


def crc_times(rounds):
    """name -> tenths of ns per byte of each round, over 240 bytes."""
    data = bytes(range(240))
    ways = {
        "viper": lambda: crc.run_viper(0xFFFF, crc.MODBUS_TABLE, data, 0, 240),
        "bytecode": lambda: crc.run_bytecode(0xFFFF, crc.MODBUS_TABLE, data, 0, 240),
        "peer": lambda: peer_crc(data),
    }
    assert len({ways[name]() for name in ways}) == 1
    times = {name: [] for name in ways}
    for _ in range(rounds):
        for name in ways:
            times[name].append(timed(ways[name], BLOCK) // 24)
    return times


if len(sys.argv) == 2:
    rounds = int(sys.argv[1])
    print(json.dumps({"transactions": compare(rounds), "crc": crc_times(rounds)}))
else:
    master = MASTERS[sys.argv[1]](int(sys.argv[2]))
    MemoryUart.reply = master.reply
    for _ in range(int(sys.argv[3])):
        master.run()
