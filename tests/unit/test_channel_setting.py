"""The box's setting `channel`, read by the firmware on its own interpreter."""

import json
import subprocess
from pathlib import Path

import pytest

from clsbench.hil.interpreter import find_micropython
from clsbench.paths import firmware_dir
from clsbench.pki.layout import Pki

CLS = "ETST0020000017"
SCRIPT = """
import json, sys
with open(sys.argv[1]) as file:
    given = json.load(file)
sys.path.insert(0, given["firmware"])
from dicamm.app import channel_task
from dicamm.store.configuration import Settings, SettingsError

files = {}
for name, path in given["files"].items():
    with open(path, "rb") as file:
        files[name] = file.read()
settings = Settings(files)
settings.cls_id, settings.gateway_host = "ETST0020000017", "10.0.0.1"
settings.gateway_name = "g.sm"
settings.channel = given["channel"]
try:
    made = channel_task.prepared(settings)
    print(json.dumps([made._name, made._at, made._listen, made._listen_port, made._allowed]))
except SettingsError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    pki = Pki.init(tmp_path_factory.mktemp("pki") / "pki", cls_ids=[CLS])
    key = pki.directory / "records.key"
    key.write_bytes(bytes(32))
    box = pki.cls_files(CLS)
    return {
        "cls.crt.der": str(box.cert_der),
        "cls.key.der": str(box.key_der),
        "han-ca.der": str(pki.han_trust_der),
        "records.key": str(key),
    }


def said(channel: dict, files: dict[str, str], tmp_path: Path) -> str:
    script = tmp_path / "setting.py"
    script.write_text(SCRIPT)
    given = {"firmware": str(firmware_dir()), "channel": channel, "files": files}
    (tmp_path / "given.json").write_text(json.dumps(given))
    done = subprocess.run(
        [str(find_micropython()), str(script), str(tmp_path / "given.json")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("channel", "read"),
    [
        ({"name": "aemt.x", "port": 1080}, ["aemt.x", ["10.0.0.1", 1080], "", 0, [1, 3, 6, 10]]),
        (
            {"name": "a", "host": "h", "port": 1, "listen": "0.0.0.0:7444", "allow": [6, 7]},
            ["a", ["h", 1], "0.0.0.0", 7444, [6, 7]],
        ),
    ],
)
def test_what_is_set_is_read(channel, read, files, tmp_path):
    assert json.loads(said(channel, files, tmp_path)) == read


@pytest.mark.parametrize(
    ("channel", "reason"),
    [
        ({"nome": "a"}, "key 'nome' unknown or wrong"),
        ({"name": "a", "port": "1080"}, "key 'port' unknown or wrong"),
        ({"name": "A_B", "port": 1}, "1 to 63 of 0-9 a-z - ."),
        ({"listen": "7444"}, "neither name nor listen"),
        ({"listen": "0.0.0.0:x"}, "CLS channel"),
        ({"port": 1}, "neither name nor listen"),
        ({"name": "a", "port": 1, "allow": [1, 11]}, "allow names what nobody may"),
        ({"name": "a", "port": 1, "allow": [14]}, "allow names what nobody may"),
    ],
)
def test_what_is_wrong_is_told_at_start(channel, reason, files, tmp_path):
    assert reason in said(channel, files, tmp_path)
