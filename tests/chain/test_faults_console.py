"""Garbage on the bench link: the firmware counts it, runs on, and the relay stays as it was."""

import asyncio
import os
import random
import select

import cbor2
import pytest
from chains import LATE_S

from dicamm.proto import link_frame

pytestmark = pytest.mark.asyncio(loop_scope="module")

CTRL_C = 3  # stops the firmware by design: a person at the REPL asks for it
BAD_MESSAGE, UNKNOWN_MESSAGE, UNKNOWN_ACTION = 12, 13, 1
BAD_UUID, BAD_TEXT, BAD_TIME = 2, 10, 11


async def state(run) -> dict:
    """The device's status, which it gives only while it runs."""
    return await run.observer.link.status()


async def settled(run, expected: int) -> dict:
    """The status once `malformed` has come to the number expected."""
    for _ in range(600):
        now = await state(run)
        if now["link"]["malformed"] >= expected:
            return now
        await asyncio.sleep(0.05)
    raise AssertionError(f"malformed is {now['link']['malformed']}, expected {expected}")


MALFORMED = [
    b"",
    b"\xff",
    b"\x1c",
    b"\xa1\x00",
    b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x81" * 200,
    b"\x00",
    b"\x80",
    cbor2.dumps("status"),
    cbor2.dumps({0: 7}),  # no number to answer under
    cbor2.dumps({0: 7, 1: "one"}),
    cbor2.dumps({0: 7, 1: -1}),
    cbor2.dumps({0: 7, 1: True}),
    cbor2.dumps({0: 7, 1: 1.5}),
    bytes.fromhex("a2010100 07".replace(" ", "")),  # keys not in order
]


async def test_malformed_cbor_is_counted_and_changes_nothing(run):
    uuid = await run.begin()
    before = await state(run)
    for payload in MALFORMED:
        run.say_on_console(link_frame.encode(payload))
    now = await settled(run, before["link"]["malformed"] + len(MALFORMED))
    assert now["link"]["malformed"] == before["link"]["malformed"] + len(MALFORMED)
    assert now["restarts"] == before["restarts"]
    assert now["open_uuid"] == uuid and run.relay_closed
    await run.end(uuid)
    await run.witnessed(uuid)


async def test_noise_on_the_console_is_counted_and_changes_nothing(run):
    uuid = await run.begin()
    before = await state(run)
    chance = random.Random(20)
    for _ in range(40):
        noise = chance.randbytes(chance.randrange(1, 400)).replace(bytes([CTRL_C]), b"")
        run.say_on_console(noise)
        await asyncio.sleep(0.005)
    damaged = bytearray(link_frame.encode(cbor2.dumps({0: 1, 1: 5})))
    damaged[4] ^= 0x40
    run.say_on_console(bytes(damaged) + b"\x00" + b"x" * 5000 + b"\x00")
    now = await state(run)
    assert sum(now["link"]["discarded"].values()) > sum(before["link"]["discarded"].values())
    assert now["restarts"] == before["restarts"]
    assert now["open_uuid"] == uuid and run.relay_closed
    await run.end(uuid)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({0: 99}, UNKNOWN_MESSAGE),
        ({0: None}, UNKNOWN_MESSAGE),
        ({0: [1]}, UNKNOWN_MESSAGE),
        ({0: 3, 2: "burst", 3: bytes(16)}, UNKNOWN_ACTION),
        ({0: 3, 2: ["begin"], 3: bytes(16)}, UNKNOWN_ACTION),
        ({0: 3, 2: {1: 2}, 3: bytes(16)}, UNKNOWN_ACTION),
        ({0: 3, 3: bytes(16)}, UNKNOWN_ACTION),
        ({0: 3, 2: "begin", 3: "0190c0de-0000-7000-8000-000000000001"}, BAD_UUID),
        ({0: 3, 2: "begin", 3: bytes(15)}, BAD_UUID),
        ({0: 3, 2: "begin", 3: bytes(16), 4: "ü" * 33}, BAD_TEXT),
        ({0: 3, 2: "begin", 3: bytes(16), 4: 7}, BAD_TEXT),
        ({0: 3, 2: "begin", 3: bytes(16), 4: "", 5: -1}, BAD_TIME),
        ({0: 3, 2: "begin", 3: bytes(16), 4: "", 5: 2**64 - 1}, BAD_TIME),
        ({0: 3, 2: "begin", 3: bytes(16), 4: "", 5: True}, BAD_TIME),
        ({0: 2, 2: "now", 3: 0}, BAD_TIME),
        ({0: 2, 2: 2**64 - 1, 3: 0}, BAD_TIME),
        ({0: 6, 2: "all"}, BAD_MESSAGE),
        ({0: 6, 2: 10**6}, BAD_MESSAGE),
        ({0: 10, 2: 1}, BAD_MESSAGE),
        ({0: 10, 2: [1], 3: 5}, BAD_MESSAGE),
    ],
)
async def test_a_message_with_a_wrong_field_is_answered_with_its_code(run, message, code):
    before = await state(run)
    answer = await run.observer.link.request(message)
    assert answer[0] == 4 and answer[2] == code
    now = await state(run)
    assert now["restarts"] == before["restarts"] and now["journal"] == before["journal"]
    assert not run.relay_closed and not run.told("relay.closed")


def _heard(port: int, words: bytes) -> None:
    """Returns when the console has said so."""
    said = b""
    while words not in said:
        assert select.select([port], [], [], LATE_S)[0], said
        said += os.read(port, 4096)


async def test_the_firmware_stops_on_ctrl_c_with_its_relay_open_and_comes_back(run):
    uuid = await run.begin()
    board = run.chain.board
    boots = board.boots
    await run.observer.stop()
    port = os.open(board.path, os.O_RDWR | os.O_NOCTTY)  # a terminal that stays
    try:
        os.write(port, bytes([CTRL_C]))
        await asyncio.to_thread(_heard, port, b">>> ")
        assert board.alive and not run.relay_closed
        os.write(port, b"\x04")  # soft reset from the REPL
        await asyncio.to_thread(board.wait_for_boot, boots + 1)
    finally:
        os.close(port)
    assert board.causes[-1] == "SOFT"
    await run.observer.start()
    await run.witnessed(uuid, "power-fail")
    assert await run.ends_of(uuid) == ["power-fail"]
