"""docs/test-your-client.md can be followed word for word, on a port of the system's choice."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs" / "test-your-client.md").read_text("utf-8")
BLOCK = re.compile(r"^```sh ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SERVE = "clsbench smgw serve --config smgw.toml\n"


def _free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A checkout with the example alone, and `clsbench` on the path."""
    top = tmp_path_factory.mktemp("checkout")
    port = _free_port()
    examples = top / "docs" / "examples"
    examples.mkdir(parents=True)
    text = (ROOT / "docs" / "examples" / "smgw-home.toml").read_text("utf-8")
    assert "port = 8443" in text
    (examples / "smgw-home.toml").write_text(text.replace("port = 8443", f"port = {port}"))
    (top / "bin").mkdir()
    command = top / "bin" / "clsbench"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m clsbench "$@"\n')
    command.chmod(0o755)
    source = f"{ROOT / 'host'}:{ROOT / 'firmware'}"
    path = f"{top / 'bin'}:{os.environ['PATH']}"
    return top, port, os.environ | {"PYTHONPATH": source, "PATH": path}


def _run(script, folder, environment):
    done = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.decode("utf-8", "replace")


def test_the_commands_of_the_document_work_as_they_stand(place):
    top, port, environment = place
    blocks = [(kind, text.replace("8443", str(port))) for kind, text in BLOCK.findall(DOC)]
    (set_up,) = [text for kind, text in blocks if not kind]
    (person,) = [text for kind, text in blocks if kind == "person"]
    (alice,) = [text for kind, text in blocks if kind == "alice"]
    assert set_up.endswith(SERVE)
    _run(set_up.removesuffix(SERVE), top, environment)
    folder = top / "build" / "han-client"
    _run(person, folder, environment)
    serving = subprocess.Popen(
        ["clsbench", *SERVE.split()[1:]],
        cwd=folder,
        env=environment,
        executable=str(top / "bin" / "clsbench"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert serving.stdout is not None
        assert json.loads(serving.stdout.readline()) == {
            "ready": True,
            "role": "smgw",
            "ports": {"han": port},
        }
        assert json.loads(_run(alice, folder, environment))["children"] == []
        asked = _run("".join(text for kind, text in blocks if kind == "ask"), folder, environment)
    finally:
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(20) == 0
    for told in (
        '"children":["taf1-home","taf2-home","taf6-home","taf7-home"]',
        '"obis":"1-0:1.8.63*255"',
        '"signature":"',
        '"usage-points"',
        '"scaler": "-1"',
        '"capture-time": "2026-10-31T23:00:',
        "01005e318002.1emh0098765432.sm",
    ):
        assert told in asked
    xml = (folder / "values.xml").read_text("utf-8")
    assert xml.count("<ns1:entry_gateway_signed") == 2 * (31 * 96 + 4)


def test_every_quirk_of_the_document_is_there_and_every_one_is_told():
    known = {path.stem for path in (ROOT / "host/clsbench/smgw/han/quirks").glob("*.toml")}
    assert set(re.findall(r"^\| `([a-z-]+)` \|", DOC, re.MULTILINE)) == known
