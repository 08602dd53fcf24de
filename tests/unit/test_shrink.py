"""The firmware's source is shrunk for the board without a change of what it does."""

import ast
import subprocess
from pathlib import Path

import pytest

from clsbench.device.shrink import shrink
from clsbench.hil.interpreter import find_micropython
from clsbench.paths import firmware_dir

ROOT = Path(__file__).resolve().parents[2]
DUAL = ROOT / "tests" / "dual"
CODES = "from micropython import const\n\nOK = const(0)\nLOST = const(-29)\nNAMES = ('ok',)\n"


def program(**texts):
    return shrink({f"dicamm.{name}": text for name, text in texts.items()})


def body(text):
    """What is left of a module, docstrings and `pass` apart."""
    return [ast.unparse(node) for node in ast.parse(text).body if not isinstance(node, ast.Pass)]


def test_constants_become_literals_across_modules_and_leave_nothing_behind():
    user = (
        "from dicamm import codes\nfrom dicamm.codes import OK as FINE\nprint(codes.LOST, FINE)\n"
    )
    shrunk = program(codes=CODES, user=user)
    assert body(shrunk["dicamm.user"]) == ["print(-29, 0)"]
    assert body(shrunk["dicamm.codes"]) == ["NAMES = ('ok',)"]


def test_constants_that_lean_on_constants_and_are_passed_on_are_found():
    shrunk = program(
        codes=CODES,
        middle="from dicamm.codes import LOST\n_BIT = 1 << 4\nMASK = _BIT - 1\n",
        user="from dicamm import middle\n\n\ndef run():\n    return middle.MASK, middle.LOST\n",
    )
    assert body(shrunk["dicamm.user"]) == ["def run():\n    return (15, -29)"]
    assert body(shrunk["dicamm.middle"]) == []


def test_a_constant_whose_methods_are_called_and_a_huge_one_stay_valid():
    text = "SIZE = 5\nHUGE = 1 << 70\nprint(SIZE.to_bytes(2, 'big'), HUGE)\n"
    assert body(program(one=text)["dicamm.one"]) == [
        "HUGE = 1 << 70",
        "print(5 .to_bytes(2, 'big'), HUGE)",
    ]


@pytest.mark.parametrize(
    "user",
    [
        "from dicamm import codes\nprint(getattr(codes, 'OK'))\n",
        "from dicamm import codes\n\n\ndef run(codes):\n    return codes.OK\n",
        "from dicamm.codes import OK\nOK = OK + 1\n",
        "try:\n    from dicamm.codes import OK\nexcept ImportError:\n    OK = 3\n",
    ],
)
def test_a_constant_somebody_may_look_up_stays(user):
    shrunk = program(codes=CODES, user=user)
    assert "OK = const(0)" in body(shrunk["dicamm.codes"])
    assert "OK" in shrunk["dicamm.user"]


def test_private_names_are_shared_by_modules_that_do_not_know_each_other():
    shrunk = program(
        one="class One:\n    def __init__(self):\n        self._left = self._right = 0\n",
        two="def _helper():\n    return 1\n",
    )
    private = {
        node.attr for node in ast.walk(ast.parse(shrunk["dicamm.one"])) if hasattr(node, "attr")
    }
    assert private == {"_a", "_b"}
    assert body(shrunk["dicamm.two"])[0].startswith("def _a()")


def test_a_subclass_in_another_module_shares_no_private_name_with_its_parent():
    shrunk = program(
        one="class One:\n    def __init__(self):\n        self._left = 0\n",
        two="from dicamm.one import One\n\n\nclass Two(One):\n"
        "    def run(self):\n        self._mine = 1\n",
    )
    names = {}
    for text in shrunk.values():
        exec(text.replace("from dicamm.one import One", ""), names)
    two = names["Two"]()
    two.run()
    assert sorted(vars(two).values()) == [0, 1]


def test_names_that_are_spoken_or_belong_to_the_interpreter_stay():
    text = (
        "import asyncio\n\n\ndef run(thing):\n    thing._kept = asyncio._io\n    return '_kept'\n"
    )
    shrunk = program(one=text)["dicamm.one"]
    assert "._kept = asyncio._io" in shrunk


def test_a_name_of_the_interpreters_stays_though_a_source_binds_the_same():
    shrunk = program(
        one="import sys\n\n\ndef newer():\n    return sys.implementation._machine\n",
        two="class Two:\n    def __init__(self, machine):\n        self._machine = machine\n",
    )
    assert "sys.implementation._machine" in shrunk["dicamm.one"]


def test_arguments_are_short_unless_a_call_names_them():
    shrunk = program(
        one="def run(first, second=0, *, third=1):\n    return first + second + third\n",
        two="from dicamm.one import run\nrun(1, second=2)\n",
    )
    assert body(shrunk["dicamm.one"]) == [
        "def run(a, second=0, *, third=1):\n    return a + second + third"
    ]


@pytest.fixture(scope="module")
def shrunk():
    """The firmware with all its dual tests, shrunk together: path -> (before, after)."""
    paths = {
        path: path.relative_to(firmware_dir()) for path in firmware_dir().glob("dicamm/**/*.py")
    }
    paths |= {path: Path(path.name) for path in DUAL.glob("test_*.py")}
    names = {
        place.with_suffix("").as_posix().removesuffix("/__init__").replace("/", "."): path
        for path, place in sorted(paths.items())
    }
    texts = {name: path.read_text("utf-8") for name, path in names.items()}
    done = shrink(texts)
    return {paths[path].as_posix(): (texts[name], done[name]) for name, path in names.items()}


def test_every_line_stays_where_it_was(shrunk):
    for name, (before, after) in shrunk.items():
        assert after.count("\n") == before.count("\n"), name
        assert places(after) <= places(before), name


def places(text):
    """Where functions, classes, calls and returns begin."""
    kinds = (
        ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Return | ast.For | ast.While
    )
    return {node.lineno for node in ast.walk(ast.parse(text)) if isinstance(node, kinds)}


@pytest.mark.parametrize(
    "name", ["cbor", "cose", "http1", "legal_time", "link_frame", "meter_profile", "modbus"]
)
def test_shrunk_firmware_passes_its_tests_on_micropython(shrunk, name, tmp_path):
    for place, (_, text) in shrunk.items():
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    test = tmp_path / f"test_{name}.py"
    done = subprocess.run(
        [find_micropython(), ROOT / "tools" / "dual_runner.py", tmp_path, test],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0 and f"DONE {test.name}" in done.stdout, done.stdout + done.stderr
