"""Transactions out of rows: state, energy by each witness, and what is none."""

import cbor2
import pytest

from clsbench.emt.transactions import energy_text, transactions

UUID = "0190c0de-0000-7000-8000-000000000001"
CLS = "ETST0020000017"
BEGIN, END, FAILSAFE, BOOT = 1, 2, 5, 8


def command(action, state="answered", code=0):
    row = {"uuid": UUID, "cls_id": CLS, "action": action, "state": state, "code": code}
    return row | {"seq": 1, "text": ""}


def gateway(event, captured_ms, raw, scaler=-1):
    value = {"obis": "1-0:1.8.0*255", "raw": raw, "scaler": scaler, "unit": 30}
    content = {"uuid": UUID, "cls_id": CLS, "event": event, "captured_ms": captured_ms}
    return {"content": content | {"values": [value]}}


def device(event, captured_ms, raw, uuid=UUID):
    values = [[bytes((1, 0, 1, 8, 0, 255)), raw, 1, 30]]
    fields = {1: 1, 2: 16, 3: bytes.fromhex(uuid.replace("-", "")), 4: event, 8: values}
    payload = cbor2.dumps(fields | {9: captured_ms})
    parts = [cbor2.dumps({1: 5}), {4: CLS.encode()}, payload, bytes(32)]
    sealed = cbor2.dumps(cbor2.CBORTag(17, parts)).hex()
    return {"uuid": uuid, "cls_id": CLS, "event": "x", "sealed": sealed}


def test_a_whole_transaction_has_its_energy_by_both_witnesses():
    (one,) = transactions(
        [command("begin"), command("end")],
        [gateway("begin", 1000, 100), gateway("end", 2000, 1223, -1)],
        [device(BEGIN, 1001, 5), device(END, 2001, 16)],
    )
    assert (one["state"], one["witnesses"]) == ("complete", 2)
    assert (one["begun_ms"], one["ended_ms"]) == (1001, 2001)
    assert energy_text(one["gateway"]) == "112.3 Wh" and energy_text(one["device"]) == "110 Wh"


def test_registers_of_different_resolution_are_brought_to_the_finer_one():
    rows = [gateway("begin", 1, 100, 0), gateway("end", 2, 10005, -2)]
    (one,) = transactions([command("begin")], rows, [])
    assert one["gateway"] == {"raw": 5, "scaler": -2} and energy_text(one["gateway"]) == "0.05 Wh"
    assert one["device"] is None and one["witnesses"] == 1


@pytest.mark.parametrize(
    ("commands", "events", "state"),
    [
        ([command("begin")], [device(BEGIN, 1, 1)], "open"),
        ([command("begin")], [device(BEGIN, 1, 1), device(FAILSAFE, 2, 1)], "ended by failsafe"),
        ([command("begin", code=8)], [], "refused"),
        ([command("begin", "refused", None)], [], "refused"),
        ([command("begin", "unknown", None)], [], "unknown"),
    ],
)
def test_every_end_has_its_name(commands, events, state):
    (one,) = transactions(commands, [], events)
    assert one["state"] == state


def test_a_boot_is_no_transaction():
    assert transactions([], [], [device(BOOT, 1, 1)]) == []
