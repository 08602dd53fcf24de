"""Telegrams of the simulated meters read by smllib (GPL: in its own process, never imported)."""

import json
import subprocess
import sys

from clsbench.meters.device_id import server_id
from clsbench.meters.sml_encode import obis_bytes, telegram

SERVER = server_id("1EMH0098765432")
IMPORT = obis_bytes("1-0:1.8.0*255")
POWER = obis_bytes("1-0:16.7.0*255")
TEXT = obis_bytes("1-0:96.50.1*1")

READ = """
import json, sys
from smllib import SmlStreamReader
from smllib.sml import SmlGetListResponse
reader = SmlStreamReader()
reader.add(bytes.fromhex(sys.stdin.read()))
found = []
while (frame := reader.get_frame()) is not None:
    messages = frame.parse_frame()
    for body in (message.message_body for message in messages):
        if isinstance(body, SmlGetListResponse):
            entries = [
                [str(e.obis), e.value, e.scaler, e.unit, e.status] for e in body.val_list
            ]
            found.append([len(messages), body.server_id, body.act_sensor_time, entries])
print(json.dumps(found))
"""


def read_by_smllib(data):
    done = subprocess.run(
        [sys.executable, "-c", READ], input=data.hex(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_smllib_reads_what_the_meter_says():
    values = [
        (TEXT, b"EMH", None, None, None),
        (IMPORT, 123_456_789_012_345, -4, 30, 386),
        (POWER, -46, 0, 27, None),
    ]
    found = read_by_smllib(telegram(SERVER, values, 4711, 9))
    assert found == [
        [
            3,
            SERVER.hex(),
            4711,
            [
                [TEXT.hex(), "EMH", None, None, None],
                [IMPORT.hex(), 123_456_789_012_345, -4, 30, 386],
                [POWER.hex(), -46, 0, 27, None],
            ],
        ]
    ]


def test_smllib_reads_every_width_and_length_in_one_stream():
    edges = [0, 127, 128, -128, -129, 32767, 32768, -32769, 2**31 - 1, 2**31, 2**63 - 1, -(2**63)]
    telegrams = [
        telegram(SERVER, [(IMPORT, edge, -1, 30, place)] * (place + 1), place, place)
        for place, edge in enumerate(edges * 2)
    ]
    found = read_by_smllib(b"".join(telegrams))
    assert [frame[2] for frame in found] == list(range(24))
    for place, frame in enumerate(found):
        assert frame[3] == [[IMPORT.hex(), edges[place % 12], -1, 30, place]] * (place + 1)


def test_smllib_reads_texts_whose_length_takes_two_bytes():
    texts = [b"\xa5" * size for size in (1, 13, 14, 15, 16, 200)]
    found = read_by_smllib(telegram(SERVER, [(TEXT, t, None, None, None) for t in texts], 1))
    assert [entry[1] for entry in found[0][3]] == [text.hex() for text in texts]
