"""`clsbench gwa serve` and `clsbench emt serve` as processes: killed, restarted, told to end."""

import asyncio
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest
from wan_edge import (
    CLS,
    EMT,
    GWA,
    KEY,
    SMGW,
    UUID,
    EdgeSmgw,
    device_record,
    gateway_record,
    signed,
    until,
)

from clsbench.pki.layout import Pki

CLSBENCH = (sys.executable, "-c", "from clsbench.cli.main import main; main()")

GWA_TOML = """
[gwa]
name = "{gwa}"
state_dir = "{folder}/gwa"
event_log = "{folder}/events"
clock = ""

[pki]
dir = "{pki}"

[management]
port = {management}

[service]
port = {service}

[[smgw]]
id = "{smgw}"

[[emt]]
name = "{emt}"
smgw_ids = ["{smgw}"]
"""

EMT_TOML = """
[emt]
name = "{emt}"
state_dir = "{folder}/emt"
event_log = "{folder}/events"
clock = ""
operator_socket = "{socket}"

[pki]
dir = "{pki}"

[channel]
port = {channel}

[delivery]
port = {delivery}

[gwa]
name = "{gwa}"
host = "127.0.0.1"
service_port = {service}

[[cls]]
cls_id = "{cls}"
smgw_id = "{smgw}"
key_file = "{folder}/device.key"
taf_profile = "taf16-1"
"""


class Bench:
    """Configuration files and the processes started from them."""

    def __init__(self, pki: Pki, folder: Path, socket: str):
        self.folder = folder
        self.socket = socket
        self.short = os.path.dirname(socket)
        self.fields = {
            "gwa": GWA,
            "smgw": SMGW,
            "emt": EMT,
            "cls": CLS,
            "folder": folder,
            "pki": pki.directory,
            "socket": socket,
            "management": 0,
            "service": 0,
            "channel": 0,
            "delivery": 0,
        }
        self.running: list[asyncio.subprocess.Process] = []
        (folder / "device.key").write_bytes(KEY)

    async def serve(self, role: str, template: str) -> asyncio.subprocess.Process:
        """Starts a role and keeps the ports of its ready line, so that a restart takes them."""
        path = self.folder / f"{role}.toml"
        path.write_text(template.format(**self.fields))
        process = await asyncio.create_subprocess_exec(
            *CLSBENCH,
            *(role, "serve", "--config", str(path)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        self.running.append(process)
        assert process.stdout is not None
        ready = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
        assert ready["ready"] is True and ready["role"] == role
        self.fields |= ready["ports"]
        return process

    async def ask(self, *words: str) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of `clsbench emt WORDS`."""
        process = await asyncio.create_subprocess_exec(
            *CLSBENCH,
            "emt",
            *words,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    async def stop(self) -> None:
        for process in self.running:
            if process.returncode is None:
                process.kill()
            await process.wait()


@pytest.fixture
async def bench(pki, tmp_path):
    with tempfile.TemporaryDirectory(prefix="emt") as short:
        made = Bench(pki, tmp_path, f"{short}/op")
        yield made
        await made.stop()


@pytest.fixture
async def smgw(pki, bench):
    """Both roles running, and an SMGW's edge connected to the GWA."""
    await bench.serve("gwa", GWA_TOML)
    await bench.serve("emt", EMT_TOML)
    ports = (bench.fields[name] for name in ("management", "channel", "delivery"))
    edge = EdgeSmgw(pki, *ports)
    edge.start()
    await until(lambda: ("GWA", True) in edge.states)
    yield edge
    await edge.stop()


async def test_switch_records_and_status_from_the_command_line(pki, bench, smgw):
    socket = ("--socket", bench.socket)
    await smgw.deliver("/emt/v1/records", signed(gateway_record(), pki.smgw.sig))
    code, out, _ = await bench.ask("switch", *socket, CLS, "begin", "--uuid", UUID, "--json")
    answer = json.loads(out)
    assert code == 0 and answer["code"] == 0 and answer["uuid"] == UUID
    code, out, _ = await bench.ask("status", *socket, "--json")
    assert code == 0 and json.loads(out)["channels"] == [SMGW]
    code, out, _ = await bench.ask("records", *socket, "--json")
    assert code == 0 and json.loads(out)["records"][0]["content"]["uuid"] == UUID
    code, out, _ = await bench.ask("records", *socket)
    assert code == 0 and UUID in out and "begin" in out
    smgw.answers = [(200, {"code": 12, "seq": 4, "text": "interlock"})]
    code, out, _ = await bench.ask("switch", *socket, CLS, "end", "--uuid", UUID)
    assert code == 1 and "interlock (code 12 BAD_MESSAGE)" in out
    smgw.answers = [(403, {"error": "not in the profile"})]
    code, out, err = await bench.ask("switch", *socket, CLS, "begin")
    assert code == 1 and out == "" and "not in the profile" in err


async def test_a_killed_aemt_keeps_its_store_and_gets_its_channel_back(pki, bench, smgw):
    der = signed(gateway_record(), pki.smgw.sig)
    path = f"/emt/v1/cls-records/{CLS}"
    assert (await smgw.deliver("/emt/v1/records", der)).status == 200
    assert (await smgw.deliver(path, device_record(1) + device_record(2))).status == 200
    await bench.ask("switch", "--socket", bench.socket, CLS, "begin", "--uuid", UUID)
    bench.running[-1].kill()
    await bench.running[-1].wait()
    await bench.serve("emt", EMT_TOML)
    answer = await smgw.deliver(path, device_record(2))
    assert answer.json() == {"acknowledged": 2}
    code, out, _ = await bench.ask("status", "--socket", bench.socket, "--json")
    assert code == 0
    stored = json.loads(out)["stored"]
    assert stored == {"gateway_records": 1, "device_records": 2, "commands": 1}
    await bench.ask("switch", "--socket", bench.socket, CLS, "begin", "--uuid", UUID)
    assert len(smgw.commands) == 1
    code, *_ = await bench.ask("switch", "--socket", bench.socket, CLS, "end", "--uuid", UUID)
    assert code == 0 and len(smgw.commands) == 2


async def test_a_killed_gwa_tells_its_standing_connects_again(bench, smgw):
    await bench.ask("switch", "--socket", bench.socket, CLS, "begin")
    assert smgw.told == [("connect", EMT)]
    bench.running[0].kill()
    await bench.running[0].wait()
    await bench.serve("gwa", GWA_TOML)
    await until(lambda: smgw.told == [("connect", EMT), ("connect", EMT)])


async def test_sigterm_ends_both_cleanly_and_removes_the_socket(bench, smgw):
    for process in bench.running:
        process.send_signal(signal.SIGTERM)
    assert [await asyncio.wait_for(one.wait(), 40) for one in bench.running] == [0, 0]
    assert "op" not in os.listdir(bench.short)
    code, _, err = await bench.ask("status", "--socket", bench.socket)
    assert code == 3 and "clsbench emt serve" in err


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ('[gwa]\nname = "x"\nstate_dir = "s"\nservice_port = 1', "key gwa.service_port is not"),
        ('[gwa]\nname = "x"', "key gwa.state_dir is missing"),
        ("[gwa", "is not TOML"),
        (
            '[gwa]\nname = "x"\nstate_dir = "s"\n[pki]\ndir = "p"\n[service]\nport = -1',
            "service.port",
        ),
    ],
)
async def test_a_wrong_configuration_is_named_with_file_and_key(tmp_path, wrong, message):
    path = tmp_path / "gwa.toml"
    path.write_text(wrong)
    process = await asyncio.create_subprocess_exec(
        *CLSBENCH,
        *("gwa", "serve", "--config", str(path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 40)
    assert process.returncode == 2 and out == b""
    assert str(path) in err.decode() and message in err.decode()
