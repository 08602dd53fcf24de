"""`clsbench load`: many control boxes on one gateway, in short; and that its judge can say no."""

import asyncio
import json
import sqlite3
import subprocess
import sys

import pytest

from clsbench.errors import EnvironmentProblem, PeerRefused, PeerSilent
from clsbench.load.bench import LoadBench, Plan, allow_descriptors, check_ports
from clsbench.load.box import LoadBox
from clsbench.load.judge import judge, stored_count
from clsbench.load.result import spread


class Silent:
    """Progress that nobody looks at."""

    def phase(self, name, steps):
        pass

    def step(self, number=1):
        pass


def test_every_session_is_held_and_every_event_reaches_the_aemt_once():
    done = subprocess.run(
        [sys.executable, "-m", "clsbench", "load", "--boxes", "24", "--events", "50", "--json"],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["ok"] and said["findings"] == []
    assert said["sessions_held"] == said["boxes"] == 24
    assert said["events"] == 50
    assert said["handshakes_per_s"] > 0 and said["events_delivered_per_s"] > 0


async def test_a_record_lost_doubled_or_altered_in_the_store_is_found(tmp_path):
    bench = LoadBench(tmp_path, Plan(boxes=3, events=4, at_once=2), Silent())
    try:
        result = await bench.run()
    finally:
        await bench.close()
    assert result.ok
    trust = (tmp_path / "pki" / "wan-trust.pem").read_bytes()
    assert stored_count(tmp_path) == 4
    assert judge(tmp_path, trust).findings == []
    database = sqlite3.connect(tmp_path / "emt" / "emt.sqlite")
    with database:
        database.execute("DELETE FROM gateway_records WHERE seq = 2")
        database.execute("UPDATE gateway_records SET uuid = 'x' WHERE seq = 3")
        database.execute(
            "UPDATE gateway_records SET cms = substr(cms, 1, length(cms) - 1) WHERE seq = 4"
        )
    database.close()
    found = judge(tmp_path, trust)
    assert found.seqs == [1, 3, 4]
    assert "record 2 of the sequence has number 3" in found.findings
    assert "record 3: the signed content is another's" in found.findings
    assert any(finding.startswith("record 4: ") for finding in found.findings)


async def test_a_box_says_what_the_gateway_answered(tmp_path):
    answers = [b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"]

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answers.pop())

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    box = LoadBox("ETST0100000001")
    port = server.sockets[0].getsockname()[1]
    box._transport, _ = await asyncio.get_running_loop().create_connection(
        lambda: box, "127.0.0.1", port
    )
    with pytest.raises(PeerRefused, match="GET /smgw/cls/v1/rts/time answered 403"):
        await box.time()
    box.close()
    server.close()


def test_times_are_told_by_rank():
    times = spread([float(n) for n in range(1, 201)])
    assert (times.p50, times.p99, times.worst) == (101.0, 199.0, 200.0)


def test_too_few_ports_or_open_files_are_told_before_anything_starts(tmp_path, monkeypatch):
    ports = tmp_path / "range"
    ports.write_text("32768\t33767\n")
    check_ports(700, ports)
    check_ports(700, tmp_path / "none")
    with pytest.raises(EnvironmentProblem, match=r"1256 local ports, .* 32768 to 33767 \(1000\)"):
        check_ports(1000, ports)
    monkeypatch.setattr("resource.getrlimit", lambda _: (100, 500))
    with pytest.raises(EnvironmentProblem, match="need 556 open files, the system allows 500"):
        allow_descriptors(300)


async def test_sessions_that_fail_at_once_are_told_as_one_sentence(tmp_path, monkeypatch):
    async def refused(*_):
        raise ConnectionRefusedError(111, "nobody listens")

    monkeypatch.setattr(LoadBox, "connect", refused)
    monkeypatch.setattr("clsbench.load.bench.WARM_UP", 0)
    bench = LoadBench(tmp_path, Plan(boxes=3, events=1, at_once=2), Silent())
    try:
        with pytest.raises(PeerSilent, match="sessions: .*nobody listens"):
            await bench.run()
    finally:
        await bench.close()
