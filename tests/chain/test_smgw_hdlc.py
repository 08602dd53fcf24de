"""Wired LMN end to end: SML in TLS in HDLC, meters on one bus, certificates pinned both ways."""

import asyncio
import json
import ssl
import sys
from asyncio.subprocess import PIPE
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from smgw_bench import METER, announce, running

from clsbench.cli.pki import pki as pki_group
from clsbench.errors import BadInput
from clsbench.meters.device_id import server_id
from clsbench.meters.hdlc_meter import HdlcBus, HdlcMeter
from clsbench.meters.line import SerialLine
from clsbench.meters.sml_answer import SmlResponder
from clsbench.meters.sml_encode import Value, obis_bytes
from clsbench.net.framed_tls import MAX_FRAME, FramedTls, split_record
from clsbench.net.tls import Identity, lmn_client, lmn_server
from clsbench.pki.files import read_certificate
from clsbench.pki.lmn import new_identity

OTHER = "1EMH0000000007"
GATEWAY = "ETST0010000001"
IDS = (GATEWAY, METER)
BAUD = 921_600
PULL_S = 60  # an event does not wait for it


def values(count=1) -> list[Value]:
    wanted: list[Value] = [(obis_bytes("1-0:1.8.0*255"), 4711, -1, 30, 0x1C0104)]
    return wanted + [(obis_bytes(f"1-0:{n}.7.0*255"), n, 0, 27, None) for n in range(20, count)]


def a_meter(address, meter_id, context, count=1):
    answers = SmlResponder(server_id(meter_id), lambda: values(count), lambda: 77)
    return HdlcMeter(address, context, answers)


@pytest.fixture
def ids(tmp_path):
    folder = tmp_path / "lmn"
    return {name: new_identity(folder, name) for name in (GATEWAY, METER, OTHER)}


def section(line, ids, pinned=METER):
    return {
        "link": "hdlc-tls",
        "port": line.b_path,
        "address": 3,
        "pull_s": PULL_S,
        "certificate": ids[pinned].cert,
        "gateway_certificate": ids[GATEWAY].cert,
        "gateway_key": ids[GATEWAY].key,
    }


@contextmanager
def bus(meters):
    with SerialLine(BAUD) as line, HdlcBus(line.a_path, meters, BAUD):
        yield line


@pytest.mark.parametrize(("cut", "count"), [(0, 1), (5, 200)])
async def test_a_reading_through_tls_in_hdlc_becomes_a_record(pki, tmp_path, ids, cut, count):
    context = lmn_server(ids[METER], ids[GATEWAY].cert)
    meter = a_meter(3, METER, context, count)
    meter.cut = cut  # every fifth answer is lost
    with bus([meter, a_meter(4, OTHER, context)]) as line:
        lmn, timing = section(line, ids), {"event_s": 10}
        start = running(pki, tmp_path, pushing=False, lmn=lmn, timing=timing)
        async with start as bench, bench.box() as box:
            assert (await announce(box, bench))[0] == 200
            (told,) = bench.events("record.written")
            assert told["detail"]["values"][0]["raw"] == 4711
            assert len(told["detail"]["values"]) == len(values(count))
            (session,) = bench.events("lmn.session")
            assert session["detail"]["cipher"] == "ECDHE-ECDSA-AES128-GCM-SHA256"
    assert meter.sessions == 1 and meter.failed == []


@pytest.mark.parametrize("wrong", ["meter", "gateway"])
async def test_a_certificate_that_is_not_the_pinned_one_gives_no_reading(
    pki, tmp_path, ids, wrong
):
    trusted = ids[OTHER].cert if wrong == "gateway" else ids[GATEWAY].cert
    meter = a_meter(3, METER, lmn_server(ids[METER], trusted))
    with bus([meter]) as line:
        lmn = section(line, ids, OTHER if wrong == "meter" else METER)
        start = running(pki, tmp_path, pushing=False, lmn=lmn, timing={"event_s": 1})
        async with start as bench, bench.box() as box:
            assert (await announce(box, bench))[0] == 503
            await bench.until("lmn.discarded")
            found = bench.events("lmn.discarded")[0]["detail"]["discarded"]
            assert any("TLS" in reason for reason in found)
            assert [entry.event for entry in await bench.log("calibration")].count("lmn.refused")
    assert meter.responder.requests == {}


async def test_a_deaf_meter_is_told_and_read_again_when_it_hears(pki, tmp_path, ids):
    meter = a_meter(3, METER, lmn_server(ids[METER], ids[GATEWAY].cert))
    meter.deaf = True
    with bus([meter]) as line:
        lmn, timing = section(line, ids), {"event_s": 10}
        start = running(pki, tmp_path, pushing=False, lmn=lmn, timing=timing)
        async with start as bench, bench.box() as box:
            await bench.until("lmn.discarded")
            meter.deaf = False
            assert (await announce(box, bench))[0] == 200


def test_no_information_field_is_longer_than_a_frame_and_records_are_whole(ids):
    client = FramedTls(lmn_client(ids[GATEWAY], ids[METER].cert), server=False)
    server = FramedTls(lmn_server(ids[METER], ids[GATEWAY].cert), server=True)
    client.shake_hands()
    sides, heard, fields = (client, server), {client: b"", server: b""}, []
    text = bytes(range(256)) * 40
    for turn in range(12):
        for side, other in (sides, sides[::-1]):
            for field in side.frames():
                fields.append(field)
                heard[other] += other.feed(field)
        if turn == 6:
            client.write(text)
            server.write(text[::-1])
    assert heard == {client: text[::-1], server: text}
    assert max(map(len, fields)) <= MAX_FRAME
    for field in fields:
        while field:
            end = 5 + int.from_bytes(field[3:5], "big")
            assert end <= len(field)
            field = field[end:]


def test_a_long_handshake_record_is_split_into_records_that_fit():
    body = bytes(range(250)) * 20
    parts = list(split_record(b"\x16\x03\x03" + len(body).to_bytes(2, "big") + body))
    assert len(parts) == 3 and max(map(len, parts)) == MAX_FRAME
    assert b"".join(part[5:] for part in parts) == body
    assert all(int.from_bytes(part[3:5], "big") == len(part) - 5 for part in parts)


def test_certificates_are_small_and_made_once(ids, tmp_path):
    for name, identity in ids.items():
        certificate = read_certificate(identity.cert)
        assert certificate.subject == certificate.issuer
        assert certificate.subject.rfc4514_string() == f"CN={name.lower()}.sm"
        assert len(ssl.PEM_cert_to_DER_cert(identity.cert.read_text())) <= 600
        assert identity.key.stat().st_mode & 0o077 == 0
    with pytest.raises(BadInput, match="is there already"):
        new_identity(tmp_path / "lmn", METER)


async def test_commands_make_the_certificates_and_play_the_meter(pki, tmp_path):
    folder = tmp_path / "lmn"
    done = CliRunner().invoke(
        pki_group, ["lmn", "--out", str(folder), "--id", GATEWAY, "--id", METER]
    )
    assert done.exit_code == 0, done.output
    made = {name: Identity(folder / f"{name}.crt.pem", folder / f"{name}.key.pem") for name in IDS}
    words = ["meter", "serve", "--protocol", "hdlc", "--certificate", made[METER].cert]
    words += ["--key", made[METER].key, "--gateway", made[GATEWAY].cert]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "clsbench", *map(str, words), stdout=PIPE, stderr=PIPE
    )
    try:
        assert process.stdout is not None
        port = json.loads(await process.stdout.readline())["port"]
        lmn, timing = section(SimpleNamespace(b_path=port), made), {"event_s": 10}
        start = running(pki, tmp_path, pushing=False, lmn=lmn, timing=timing)
        async with start as bench, bench.box() as box:
            assert (await announce(box, bench))[0] == 200
    finally:
        process.terminate()
        _, said = await process.communicate()
    assert b'"sessions": 1' in said, said
