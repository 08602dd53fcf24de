"""The gateway's other meter lines: SML asked for, wired M-Bus, wireless M-Bus, clocks compared."""

import asyncio

import pytest
from smgw_bench import METER, Meter, announce, running, smgw_config

from clsbench.errors import BadInput
from clsbench.eventlog import read_events
from clsbench.meters.aes import Aes
from clsbench.meters.device_id import server_id
from clsbench.meters.line import SerialLine
from clsbench.meters.lmn_responder import LmnResponder
from clsbench.meters.mbus_encode import (
    RSP_UD,
    bcd,
    integer,
    long_frame,
    secondary_address,
    value_information,
)
from clsbench.meters.mbus_meter import MbusMeter, MbusSlaves
from clsbench.meters.sml_answer import SmlResponder
from clsbench.meters.sml_encode import Value, obis_bytes
from clsbench.smgw.config import SmgwConfig
from clsbench.smgw.config_lmn import read_key
from clsbench.smgw.lmn.patience import Patience
from clsbench.smgw.lmn.seconds import BACKWARDS, DRIFTING, SecondsWatch
from clsbench.smgw.service import Gateway
from dicamm.proto.aes_cmac import cmac
from dicamm.proto.wmbus_link import frame_a

HEAT = "6ELS0012345678"
GAS = "7ELS3312345678"
GAS_ADDRESS = bytes.fromhex("9315785634123303")  # ELS 12345678, version 33h, gas
KEY = bytes.fromhex("0102030405060708090a0b0c0d0e0f11")
IMPORT = "1-0:1.8.0*255"


def taf(meter_id):
    return {"meter_id": meter_id}


async def test_a_meter_that_only_answers_is_asked_and_recorded(pki, tmp_path):
    line = SerialLine(921_600)
    values: list[Value] = [(obis_bytes(IMPORT), 4711, -1, 30, None)]
    meter = LmnResponder(
        line.b_path, SmlResponder(server_id(METER), lambda: values, lambda: 77), 921_600
    )
    meter.start()
    lmn = {"port": line.a_path, "link": "sml-pull", "pull_s": 60, "baud": 921_600}
    try:
        async with running(pki, tmp_path, pushing=False, lmn=lmn) as bench, bench.box() as box:
            assert (await announce(box, bench))[0] == 200
            (told,) = bench.events("record.written")
            assert told["detail"]["values"][0]["raw"] == 4711
    finally:
        meter.stop()
        line.close()


@pytest.mark.parametrize("address", [5, None])
async def test_heat_meter_on_a_wired_bus_goes_into_the_same_records(pki, tmp_path, address):
    line = SerialLine(9600)
    records = (
        bcd(123_456, 4, value_information(30, 3))
        + bcd(70_042, 4, value_information(13, -3))
        + integer(21_0, 2, value_information(27, 0), storage=1)
    )
    own = MbusMeter(5, secondary_address("12345678", "ELS", 51, 4), lambda: [records])
    other = MbusMeter(6, secondary_address("00000001", "ELS", 51, 4), lambda: [records])
    lmn = {"port": line.a_path, "link": "mbus", "pull_s": 60, "meter_id": HEAT, "baud": 9600}
    if address is not None:
        lmn["address"] = address
    try:
        with MbusSlaves(line.b_path, [own, other], 9600):
            async with (
                running(
                    pki,
                    tmp_path,
                    pushing=False,
                    lmn=lmn,
                    taf=taf(HEAT),
                ) as bench,
                bench.box() as box,
            ):
                assert (await announce(box, bench))[0] == 200
                (told,) = bench.events("record.written")
                assert [tuple(value.values()) for value in told["detail"]["values"]] == [
                    ("6-0:1.0.0*255", 123_456, 3, 30),
                    ("6-0:2.0.0*255", 70_042, -3, 13),
                ]
    finally:
        line.close()


def profile_b(counter, raw, key=KEY):
    """A gas meter's telegram in mode 7, built here apart from the reader (OMS volume 2)."""
    aes, number = Aes(), counter.to_bytes(4, "little")
    identification = GAS_ADDRESS[2:6]

    def derived(use):
        return cmac(aes, key, bytes((use,)) + number + identification + b"\x07" * 7)

    clear = b"\x2f\x2f" + bcd(raw, 4, value_information(13, -2))
    clear += b"\x2f" * (-len(clear) % 16)
    sealed = aes.encrypt_cbc(derived(0), bytes(16), clear)
    tpl = b"\x7a\x01\x00" + bytes((len(sealed), 0x07, 0x10)) + sealed
    code = cmac(aes, derived(1), b"\x25" + number + tpl)[:8]
    body = b"\x44" + GAS_ADDRESS + b"\x8c\x20\x01"
    body += b"\x90\x0f\x00\x2c\x25" + number + code + tpl
    return frame_a(bytes((len(body),)) + body)


def key_file(tmp_path, mode=0o600):
    path = tmp_path / "gas.key"
    path.write_text(KEY.hex() + "\n")
    path.chmod(mode)
    return path


def gas(tmp_path):
    lmn = {"link": "wmbus", "meter_id": GAS, "key_file": key_file(tmp_path), "baud": 9600}
    return {"lmn": lmn, "taf": taf(GAS)}


async def test_gas_meter_by_radio_counts_only_with_code_and_rising_counter(pki, tmp_path):
    meter = Meter()
    start = {"meter": meter, "pushing": False, **gas(tmp_path)}
    async with running(pki, tmp_path, **start) as bench, bench.box() as box:
        asked = asyncio.create_task(announce(box, bench))
        await bench.until("event.announced")
        meter.write(b"\x05noise" + profile_b(9, 999, bytes(16)))
        await asyncio.sleep(0.3)
        while not asked.done():  # a pause between the halves, on a busy machine, tears a telegram
            meter.write(profile_b(7, 4711)[:30])
            await asyncio.sleep(0.02)
            meter.write(profile_b(7, 4711)[30:])
            await asyncio.wait([asked], timeout=1)
        assert (await asked)[0] == 200
        (told,) = bench.events("record.written")
        (value,) = told["detail"]["values"]
        assert tuple(value.values()) == ("7-0:3.0.0*255", 4711, -2, 13)
    async with running(pki, tmp_path, **start) as bench, bench.box() as box:
        asked = asyncio.create_task(announce(box, bench, uuid=bench_uuid(2)))
        await bench.until("event.announced", 2)
        meter.write(profile_b(7, 4711))  # the counter outlives the restart
        await asyncio.sleep(0.2)
        meter.write(profile_b(8, 4712))
        assert (await asked)[0] == 200
        values = bench.events("record.written")[-1]["detail"]["values"]
        assert values[0]["raw"] == 4712
        reasons = [event["detail"]["discarded"] for event in bench.events("lmn.discarded")]
        assert any("counter" in reason for found in reasons for reason in found)
    meter.close()


def bench_uuid(number):
    return f"0190c0de-0000-7000-8000-{number:012d}"


def sections(tmp_path, *lines):
    return SmgwConfig.model_validate(
        {
            "smgw": {"id": "ETST0010000001", "state_dir": tmp_path},
            "pki": {"dir": tmp_path},
            "gwa": {"name": "gwa-test", "port": 1},
            "lmn": [{"port": "/dev/null", **line} for line in lines],
        }
    )


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([{"meter_id": METER, "address": 4}], "address: only with link mbus or hdlc-tls"),
        ([{"meter_id": GAS, "link": "wmbus"}], "needs key_file"),
        ([{"meter_id": METER, "link": "hdlc-tls", "address": 4}], "needs certificate"),
        ([{"meter_id": "*", "link": "mbus"}], "name the meter"),
        ([{"meter_id": METER}, {"meter_id": HEAT}], "one meter on a port"),
        (
            [
                {"meter_id": HEAT, "link": "mbus"},
                {"meter_id": GAS, "link": "wmbus", "security": "any"},
            ],
            "must be the same on one port",
        ),
        (
            [
                {"meter_id": HEAT, "link": "mbus", "address": 3},
                {"meter_id": GAS, "link": "mbus", "address": 3},
            ],
            "address 3 on /dev/null is taken",
        ),
    ],
)
def test_a_line_that_cannot_be_is_named(tmp_path, lines, reason):
    with pytest.raises((BadInput, ValueError), match=reason):
        sections(tmp_path, *lines).profiles()


def test_a_key_that_others_may_read_or_of_wrong_length_is_refused_and_not_told(tmp_path):
    with pytest.raises(BadInput, match="chmod 600"):
        read_key(key_file(tmp_path, 0o640), GAS)
    path = key_file(tmp_path)
    path.write_text(KEY.hex()[:-2])
    with pytest.raises(BadInput, match="15 bytes, expected 16") as refused:
        read_key(path, GAS)
    assert KEY.hex()[:6] not in str(refused.value)


def test_seconds_index_beside_the_gateways_clock():
    watch = SecondsWatch()
    for second in range(0, 3600, 60):
        assert not watch.take(500 + second, second * 1000 + 300)
    assert watch.take(500 + 3600 - 30, 3_600_000) and watch.trouble == DRIFTING
    assert watch.drift_ms == -29_700
    assert watch.take(3, 3_601_000) and watch.trouble == BACKWARDS
    assert watch.take(4, 3_602_000) and watch.trouble == ""


def test_a_meter_that_does_not_answer_is_left_alone_longer_and_longer():
    patience = Patience()
    assert patience.due(0)
    pauses, now = [], 0.0
    for _ in range(9):
        patience.failed(now)
        begun = now
        while not patience.due(now):
            now += 0.25
        pauses.append(now - begun)
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert patience.next_s(now + 60) <= now and patience.next_s(now - 99) == now - 99
    patience.answered()
    assert patience.next_s(now + 60) == now + 60
    patience.failed(now)
    assert patience.due(now + 0.5)


@pytest.mark.parametrize("answer", ["73 78563412 0a 00 e97e 01000000 35010000", "70 08", "72 00"])
async def test_an_answer_that_is_no_reading_is_told_and_costs_the_others_nothing(
    pki, tmp_path, answer
):
    class Odd(MbusMeter):
        def _data(self):
            return long_frame(RSP_UD, self.address, bytes.fromhex(answer))

    records = bcd(123_456, 4, value_information(30, 3))
    odd = Odd(6, secondary_address("00000001", "ELS", 51, 4), list)
    own = MbusMeter(5, secondary_address("12345678", "ELS", 51, 4), lambda: [records])
    with SerialLine(9600) as line, MbusSlaves(line.b_path, [odd, own], 9600):
        common = {"port": line.a_path, "link": "mbus", "pull_s": 0.1, "baud": 9600}
        config = smgw_config(pki, tmp_path, line.a_path, lmn=common | {"meter_id": HEAT})
        sections = config.model_dump()
        first = sections["lmn"][0]
        sections["lmn"] = [
            first | {"meter_id": "6ELS0000000001", "address": 6},
            first | {"meter_id": HEAT, "address": 5},
        ]
        sections["taf"] = []
        gateway = Gateway(SmgwConfig.model_validate(sections))
        await gateway.start()
        try:
            told, read = [], False
            for _ in range(600):
                told = [
                    e for e in read_events(tmp_path / "events") if e["name"] == "lmn.discarded"
                ]
                read = HEAT in gateway._lines.last()
                if told and read:
                    break
                await asyncio.sleep(0.05)
            assert told and read
        finally:
            await gateway.stop()
