"""The bench link on a bad line: noise costs nothing but itself, a duplicate is done once."""

import random
import uuid as uuidlib

from clsbench.device.link_inbox import COMMAND, STATUS, frame
from dicamm import codes

QUIET = bytes(set(range(256)) - {0, 3, 4})  # no frame's end, no Ctrl-C, no Ctrl-D


def noise(chance: random.Random, length: int) -> bytes:
    return bytes(chance.choices(QUIET, k=length))


def test_noise_between_frames_costs_no_command(bench):
    chance = random.Random(1)
    for length in (1, 7, 60, 300):
        bench.link.send(b"\x00" + noise(chance, length) + b"\x00")
        bench.transaction()


def test_a_flipped_bit_costs_one_frame_and_is_counted(bench):
    before = sum(bench.link.status()["link"]["discarded"].values())
    data = bytearray(frame({0: STATUS, 1: 77}))
    data[4] ^= 0x20
    bench.link.send(bytes(data))
    bench.transaction()
    assert sum(bench.link.status()["link"]["discarded"].values()) == before + 1


def test_a_frame_longer_than_any_message_leaves_the_link_alive(bench, board):
    chance = random.Random(2)
    bench.link.send(b"\x00")
    for _ in range(24):  # in pieces that a console takes
        bench.link.send(noise(chance, 128))
        board.sleep(0.03)
    bench.link.send(b"\x00")
    bench.transaction()


def test_a_command_that_comes_twice_is_done_once(bench):
    uuid = uuidlib.uuid4().bytes
    begin = frame({0: COMMAND, 1: 5, 2: "begin", 3: uuid, 4: "", 5: None})
    bench.link.send(begin + begin)
    bench.status_when(lambda status: status["open_uuid"] == str(uuidlib.UUID(bytes=uuid)))
    bench.end(uuid)
    assert [record.event for record in bench.records_of(uuid)] == ["begin", "end"]


def test_an_unknown_message_and_a_bad_command_are_answered_with_their_code(bench):
    assert bench.link.request({0: 99})[2] == codes.UNKNOWN_MESSAGE
    assert bench.link.command("explode", uuidlib.uuid4().bytes)[0] == codes.UNKNOWN_ACTION
    assert bench.link.command("begin", b"short")[0] == codes.BAD_UUID
    assert not bench.relay_closed
