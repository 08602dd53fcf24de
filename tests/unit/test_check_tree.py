"""Each rule of tools/check_tree.py finds the file that breaks it, and lets the others be."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEVICE, HOST = "firmware/dicamm", "host/clsbench"


@pytest.fixture
def check_tree(tmp_path, monkeypatch):
    """The tool, looking at an empty tree."""
    spec = importlib.util.spec_from_file_location("check_tree", ROOT / "tools" / "check_tree.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    return module


@pytest.fixture
def breaches(check_tree, tmp_path, capsys):
    """Breaches in a tree of these files; checks that the exit code tells whether there are any."""

    def look(files: dict[str, str]) -> list[str]:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        code = check_tree.main()
        *found, last = capsys.readouterr().out.splitlines()
        assert last == f"check_tree: {len(found)} breaches in {len(files)} files"
        assert code == (1 if found else 0)
        return found

    return look


def test_an_empty_tree_breaks_no_rule(breaches):
    assert breaches({}) == []


LAYERS = ("proto", "metering", "control", "store", "link", "app")


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_of_the_device_imports_itself_and_those_before_it(breaches, layer):
    at = LAYERS.index(layer)
    fine = "".join(f"from dicamm.{one} import x\n" for one in LAYERS[: at + 1])
    assert breaches({f"{DEVICE}/{layer}/a.py": fine}) == []
    wrong = "".join(f"import dicamm.{one}.x\n" for one in LAYERS[at + 1 :])
    assert breaches({f"{DEVICE}/{layer}/a.py": wrong}) == [
        f"{DEVICE}/{layer}/a.py:{line}: {layer} must not import dicamm.{one}.x"
        for line, one in enumerate(LAYERS[at + 1 :], 1)
    ]


DEVICE_RULES = {
    "a layer above": (
        "proto/a.py",
        "from dicamm.metering import grid",
        "must not import",
    ),
    "a layer above, by its name": ("store/a.py", "from dicamm import link", "must not import"),
    "a layer above, inside a function": (
        "store/a.py",
        "def f():\n    if True:\n        from dicamm.link import han",
        "store/a.py:3: store must not import dicamm.link",
    ),
    "drivers from below": (
        "link/a.py",
        "from dicamm.drivers import net",
        "link must not import dicamm.drivers: ports come as arguments",
    ),
    "drivers from the root": ("a.py", "import dicamm.drivers.led", "a.py must not import dicamm"),
    "codes in proto": ("proto/a.py", "from dicamm import codes", "proto must not import dicamm.c"),
    "texts on the device": ("app/a.py", "from dicamm import code_texts", "texts stay on the host"),
    "hardware in a layer": ("app/a.py", "import machine", "only drivers import machine"),
    "hardware by its part": ("store/a.py", "from esp32 import NVS", "only drivers import esp32"),
    "hardware at the root": ("a.py", "import rp2", "only drivers import rp2"),
    "typing": ("drivers/a.py", "from typing import Any", "typing is not in the device's subset"),
    "enum": ("a.py", "import enum", "enum is not in the device's subset"),
    "abc of collections": ("app/a.py", "from collections import abc", "collections.abc is not in"),
    "future": ("app/a.py", "from __future__ import annotations", "__future__ is not in"),
    "a relative import": ("app/a.py", "from . import bus", "imports name their module in full"),
    "a relative import upwards": ("app/a.py", "from ..link import han", "in full"),
}


@pytest.mark.parametrize("rule", DEVICE_RULES)
def test_a_rule_of_the_device_finds_its_breach(breaches, rule):
    name, source, said = DEVICE_RULES[rule]
    found = breaches({f"{DEVICE}/{name}": source + "\n"})
    assert found and said in found[0] and found[0].startswith(f"{DEVICE}/{name}:")


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("app/a.py", "from dicamm.drivers import led\nfrom dicamm import codes\n"),
        ("drivers/a.py", "import machine\nfrom esp32 import NVS\nimport dicamm.drivers.led\n"),
        ("metering/a.py", "from dicamm import codes\nfrom micropython import const\n"),
        ("code_texts.py", "from dicamm import codes\n"),
        ("app/a.py", "if TYPE_CHECKING:\n    from typing import Any\n"),
        ("app/a.py", "text = 'import machine'  # import typing\n"),
        ("app/a.py", "import machinery\nfrom collections import deque\n"),
    ],
)
def test_what_the_device_may_import_is_no_breach(breaches, name, source):
    assert breaches({f"{DEVICE}/{name}": source}) == []


HOST_RULES = {
    "a clock in the core": ("smgw/core/a.py", "import time", "a pure module must not import time"),
    "a file system in the core": ("smgw/core/a.py", "from os import path", "must not import os"),
    "a loop in settlement": ("settlement/a.py", "import asyncio", "must not import asyncio"),
    "a database in a part of the core": ("smgw/core/deep/a.py", "import sqlite3", "sqlite3"),
    "a leaf from a part": ("smgw/a.py", "from clsbench.cli import main", "clsbench.cli is a leaf"),
    "a leaf by its module": (
        "a.py",
        "import clsbench.report.svg",
        "svg is a leaf",
    ),
    "an oracle": ("meters/a.py", "import smllib", "smllib is a test oracle"),
    "a program of its own": (
        "device/a.py",
        "import esptool",
        "esptool runs as a process of its own",
    ),
    "an oracle by its part": (
        "cli/a.py",
        "from meterbus.core import x",
        "is a test oracle",
    ),
}


@pytest.mark.parametrize("rule", HOST_RULES)
def test_a_rule_of_the_host_finds_its_breach(breaches, rule):
    name, source, said = HOST_RULES[rule]
    found = breaches({f"{HOST}/{name}": source + "\n"})
    assert found and said in found[0] and found[0].startswith(f"{HOST}/{name}:1: ")


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("cli/a.py", "import os, time\nfrom clsbench.report import html\n"),
        ("report/a.py", "import clsbench.cli.main\n"),
        ("__main__.py", "from clsbench.cli.main import main\n"),
        ("smgw/a.py", "import sqlite3, ssl\n"),
        ("smgw/core/a.py", "from datetime import datetime\nimport json\n"),
        ("a.py", "import clsbench.client\nimport reporting\n"),
        ("smgw/core/a.py", "if TYPE_CHECKING:\n    import ssl\n"),
    ],
)
def test_what_the_host_may_import_is_no_breach(breaches, name, source):
    assert breaches({f"{HOST}/{name}": source}) == []


def test_only_what_never_runs_may_import_for_types_alone(breaches):
    """The other branch of `if TYPE_CHECKING` does run."""
    source = "if TYPE_CHECKING:\n    import ssl\nelse:\n    import socket\n"
    assert breaches({f"{HOST}/smgw/core/a.py": source}) == [
        f"{HOST}/smgw/core/a.py:4: a pure module must not import socket"
    ]


@pytest.mark.parametrize("top", ["firmware", "host", "boards", "tools", "tests"])
def test_a_module_of_more_than_400_lines_is_too_long(breaches, top):
    assert breaches({f"{top}/a.py": "x = 1\n" * 400}) == []
    assert breaches({f"{top}/a.py": "x = 1\n" * 401}) == [
        f"{top}/a.py:401: 401 lines, at most 400"
    ]


def test_what_python_left_behind_is_not_looked_at(breaches, tmp_path):
    left = tmp_path / "host" / "__pycache__" / "a.py"
    left.parent.mkdir(parents=True)
    left.write_text("x = 1\n" * 401)
    assert breaches({}) == []


def test_every_breach_is_told(breaches):
    found = breaches(
        {
            f"{DEVICE}/proto/a.py": "import machine\nimport typing\nimport dicamm.app.x\n",
            f"{HOST}/a.py": "import smllib\n" + "x = 1\n" * 400,
        }
    )
    assert [line.split(": ", 1)[0] for line in found] == [
        f"{DEVICE}/proto/a.py:1",
        f"{DEVICE}/proto/a.py:2",
        f"{DEVICE}/proto/a.py:3",
        f"{HOST}/a.py:1",
        f"{HOST}/a.py:401",
    ]
