"""What an SMGW delivers to the aEMT: verified before it is stored, stored once, over real TLS."""

import pytest
from wan_bench import running
from wan_edge import CLS, EMT, UUID, device_record, gateway_record, post, signed

from clsbench.net.tls import wan_client


@pytest.fixture
async def wan(pki, tmp_path):
    async with running(pki, tmp_path) as started:
        yield started


async def test_gateway_records_are_verified_stored_and_deduplicated(wan):
    der = signed(gateway_record(), wan.pki.smgw.sig)
    for _ in range(2):
        answer = await wan.smgw.deliver("/emt/v1/records", der)
        assert (answer.status, answer.json()) == (200, {"stored": True})
    again = signed(gateway_record(), wan.pki.smgw.sig)
    assert (await wan.smgw.deliver("/emt/v1/records", again)).status == 200
    (record,) = await wan.operator.records()
    assert record["content"]["uuid"] == UUID and bytes.fromhex(record["cms"]) == der
    outcomes = [event["detail"]["outcome"] for event in wan.events("record.gateway")]
    assert outcomes == ["stored", "repeat", "repeat"]


async def test_an_altered_gateway_record_is_refused_and_told(wan):
    der = signed(gateway_record(), wan.pki.smgw.sig)
    altered = der.replace(b"12345678", b"12345679")
    assert altered != der
    answer = await wan.smgw.deliver("/emt/v1/records", altered)
    assert answer.status == 422 and "altered" in answer.error_text()
    assert await wan.operator.records() == []
    (event,) = wan.events("record.signature")
    assert event["ok"] is False and event["kind"] == "fault"


async def test_a_record_signed_by_others_or_for_others_is_refused(wan):
    by_emt = signed(gateway_record(), wan.pki.emt(EMT).sig)
    assert (await wan.smgw.deliver("/emt/v1/records", by_emt)).status == 422
    for_other = signed(gateway_record(smgw_id="ETST0010000099"), wan.pki.smgw.sig)
    assert (await wan.smgw.deliver("/emt/v1/records", for_other)).status == 403
    senseless = signed(b'{"type":"taf16"}', wan.pki.smgw.sig)
    assert (await wan.smgw.deliver("/emt/v1/records", senseless)).status == 422
    assert await wan.operator.records() == []


async def test_only_smgws_deliver(wan):
    der = signed(gateway_record(), wan.pki.smgw.sig)
    context = wan_client(wan.pki.emt("andere").tls, wan.pki.wan_trust)
    port = wan.emt_ports["delivery"]
    answer = await post("EMT", EMT, port, context, "/emt/v1/records", body=der)
    assert answer.status == 403
    assert await wan.operator.records() == []


async def test_a_second_content_under_one_sequence_number_is_refused(wan):
    first = signed(gateway_record(), wan.pki.smgw.sig)
    second = signed(gateway_record(text="other"), wan.pki.smgw.sig)
    assert (await wan.smgw.deliver("/emt/v1/records", first)).status == 200
    assert (await wan.smgw.deliver("/emt/v1/records", second)).status == 409
    (record,) = await wan.operator.records()
    assert record["content"]["text"] == "charge"
    assert len(wan.events("record.conflict")) == 1


async def test_device_records_are_acknowledged_up_to_the_first_gap(wan):
    path = f"/emt/v1/cls-records/{CLS}"

    async def deliver(*numbers: int) -> dict:
        answer = await wan.smgw.deliver(path, b"".join(device_record(n) for n in numbers))
        assert answer.status == 200
        return answer.json()

    assert await deliver() == {"acknowledged": 0}
    assert await deliver(1, 2) == {"acknowledged": 2}
    assert await deliver(5, 4) == {"acknowledged": 2, "missing": [[3, 3]]}
    assert await deliver(2, 3) == {"acknowledged": 5}
    rows = await wan.operator.device_records()
    assert [row["seq"] for row in rows] == [1, 2, 3, 4, 5]
    assert all(row["seal_checked"] and row["cls_id"] == CLS for row in rows)
    assert bytes.fromhex(rows[0]["sealed"]) == device_record(1)
    assert len(wan.events("record.device")) == 5


async def test_altered_device_records_are_refused_and_the_good_ones_kept(wan):
    path = f"/emt/v1/cls-records/{CLS}"
    altered = device_record(2).replace(b"charge", b"change")
    body = device_record(1) + altered + device_record(3)
    answer = await wan.smgw.deliver(path, body)
    assert answer.status == 422 and "record 2" in answer.error_text()
    assert answer.json()["acknowledged"] == 1
    conflicting = device_record(1, text="other")
    assert (await wan.smgw.deliver(path, conflicting)).status == 409
    assert (await wan.smgw.deliver(path, b"\xff\xff")).status == 422
    assert [row["seq"] for row in await wan.operator.device_records()] == [1, 3]
    assert len(wan.events("cls-record.refused")) == 3


async def test_records_of_an_unknown_cls_are_refused(wan):
    answer = await wan.smgw.deliver("/emt/v1/cls-records/ETST0020000099", device_record(1))
    assert answer.status == 404
    assert len(wan.events("cls-record.unknown")) == 1


async def test_gateway_records_that_are_missing_are_asked_for(wan):
    for seq, answer in ((3, {"stored": True, "missing": [[1, 2]]}), (1, {"missing": [[2, 2]]})):
        der = signed(gateway_record(seq=seq), wan.pki.smgw.sig)
        got = (await wan.smgw.deliver("/emt/v1/records", der)).json()
        assert got == {"stored": True} | answer
    der = signed(gateway_record(seq=2), wan.pki.smgw.sig)
    assert (await wan.smgw.deliver("/emt/v1/records", der)).json() == {"stored": True}


async def test_a_list_is_judged_record_by_record_and_stored_once(wan):
    good = [signed(gateway_record(seq=seq), wan.pki.smgw.sig) for seq in (1, 2, 5)]
    altered = good[1].replace(b"12345678", b"12345679")
    other = signed(gateway_record(smgw_id="ETST0010000099"), wan.pki.smgw.sig)
    second = signed(gateway_record(seq=1, text="other"), wan.pki.smgw.sig)
    body = b"".join([good[0], altered, other, second, good[2]])
    for _ in range(2):
        answer = await wan.smgw.deliver("/emt/v1/record-list", body)
        said = answer.json()
        assert (answer.status, said["statuses"]) == (200, [200, 422, 403, 409, 200])
        assert said["missing"] == {"taf16-1": [[2, 4]]}
        assert "altered" in said["errors"]["1"] and sorted(said["errors"]) == ["1", "2", "3"]
    assert [row["seq"] for row in await wan.operator.records()] == [1, 5]
    answer = await wan.smgw.deliver("/emt/v1/record-list", good[1])
    assert answer.json() == {"statuses": [200], "missing": {"taf16-1": [[3, 4]]}}
    outcomes = [event["detail"]["outcome"] for event in wan.events("record.gateway")]
    assert outcomes == ["stored", "stored", "repeat", "repeat", "stored"]
    assert len(wan.events("record.signature")) == len(wan.events("record.conflict")) == 2


async def test_what_is_no_list_is_refused_as_a_whole(wan):
    der = signed(gateway_record(), wan.pki.smgw.sig)
    for body in (der + der[:-1], der + b"\x00", der * 257):
        answer = await wan.smgw.deliver("/emt/v1/record-list", body)
        assert answer.status == 422 and "no list of records" in answer.error_text()
    assert await wan.operator.records() == []
