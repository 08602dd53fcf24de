"""Every firmware file becomes bytecode for every class of board, and errors name the file."""

import subprocess
from pathlib import Path

import pytest

from clsbench.device import build
from clsbench.errors import BadInput
from clsbench.hil.interpreter import find_micropython
from clsbench.paths import boards_dir, firmware_dir

ARCHITECTURES = ("x64", "armv6m", "xtensawin")


def firmware_modules():
    return sorted(firmware_dir().rglob("*.py")) + sorted(boards_dir().glob("*/board.py"))


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_firmware_file_cross_compiles(arch):
    modules = firmware_modules()
    assert len(modules) > 20
    for path in modules:
        assert build.compile_file(path, path.name, arch)[:1] == b"M", path


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("build")


def test_firmware_holds_scripts_package_and_board_file(out):
    files = dict(build.build_firmware("unix", out))
    assert len(files) == len(build.build_firmware("unix", out))
    assert files["main.py"] == (firmware_dir() / "main.py").read_bytes()
    assert {"boot.py", "board.mpy", "lib/dicamm/__init__.mpy"} <= files.keys()
    assert {"lib/dicamm/link/han.mpy", "lib/dicamm/proto/p256.mpy"} <= files.keys()
    assert "lib/dicamm/code_texts.mpy" not in files  # texts stay on the host


def test_second_build_compiles_nothing(out, monkeypatch):
    first = build.build_firmware("unix", out)
    monkeypatch.setattr(build, "compile_file", lambda *_: pytest.fail("compiled again"))
    assert build.build_firmware("unix", out) == first


def test_error_names_file_line_and_reason(tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("x = 1\nif x = 2:\n    pass\n")
    with pytest.raises(BadInput) as caught:
        build.compile_file(broken, "dicamm/broken.py", "x64")
    text = str(caught.value)
    assert str(broken) in text and "line 2" in text and "SyntaxError" in text


def test_unknown_board_names_those_there_are(tmp_path):
    with pytest.raises(BadInput, match=r"'toaster' is unknown.*Known: .*unix"):
        build.build_firmware("toaster", tmp_path)


def test_traceback_on_the_board_names_source_and_line(tmp_path):
    module = tmp_path / "faulty.py"
    module.write_text("def run():\n    return 1 // 0\n")
    code = build.compile_file(module, "dicamm/app/faulty.py", "x64")
    Path(tmp_path, "faulty.mpy").write_bytes(code)
    module.unlink()
    done = subprocess.run(
        [find_micropython(), "-c", "import faulty; faulty.run()"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert 'File "dicamm/app/faulty.py", line 2, in run' in done.stdout + done.stderr
