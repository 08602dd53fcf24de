"""Machine-code loops of the device run as Python: every pointer is bounded, every line counts.

Viper checks no index; here one outside its buffer, or a number that does not fit its element,
raises. So a fuzzer sees the branches of the loops and any access that would be wrong on a board.
"""

import importlib
import sys
import types
from pathlib import Path
from typing import Any

from clsbench.paths import firmware_dir
from dicamm.proto import sml_loops


class OutOfBounds(Exception):
    """A pointer was used outside its buffer."""


class _Pointer:
    """A view of a buffer as unsigned numbers of one width; stores keep the low bits."""

    format: Any = "B"
    width = 1
    mask = 0xFF

    def __init__(self, target: Any):
        view = memoryview(target).cast("B")
        self._view = view[: len(view) & -self.width].cast(self.format)

    def __getitem__(self, index: int) -> int:
        if not 0 <= index < len(self._view):
            raise OutOfBounds(f"read at {index} of {len(self._view)}")
        return self._view[index]

    def __setitem__(self, index: int, value: int) -> None:
        if not 0 <= index < len(self._view):
            raise OutOfBounds(f"write at {index} of {len(self._view)}")
        self._view[index] = value & self.mask


class _Pointer16(_Pointer):
    format = "H"
    width = 2
    mask = 0xFFFF


class _Pointer32(_Pointer):
    format = "I"
    width = 4
    mask = 0xFFFFFFFF


def load(name: str) -> types.ModuleType:
    """The module dicamm.proto.`name` with its viper functions as Python functions.

    Only pointers made inside the functions, by ptr8(x), are bounded; arguments must be so.
    """
    path = Path(firmware_dir()) / "dicamm" / "proto" / f"{name}.py"
    source = path.read_text(encoding="utf-8")
    source = source.replace("import micropython\n", "").replace(
        "from micropython import const\n", ""
    )
    module = types.ModuleType(name)
    module.__dict__.update(
        micropython=types.SimpleNamespace(viper=lambda function: function),
        const=lambda value: value,
        ptr8=_Pointer,
        ptr16=_Pointer16,
        ptr32=_Pointer32,
    )
    exec(compile(source, str(path), "exec"), module.__dict__)
    fuzzer = sys.modules.get("atheris")
    for name, value in list(vars(module).items()):
        if fuzzer is not None and isinstance(value, types.FunctionType):
            setattr(module, name, fuzzer.instrument_func(value))  # it guides the fuzzer
    return module


def _bounded(function: Any) -> Any:
    """The function with its buffers as pointers."""

    def call(*arguments: Any) -> Any:
        return function(
            *[entry if isinstance(entry, int) else _Pointer(entry) for entry in arguments]
        )

    return call


def modbus_module() -> types.ModuleType:
    """A copy of dicamm.proto.modbus that works as on a board with machine code."""
    code = load("modbus_viper")
    loops = types.ModuleType("dicamm.proto.modbus_loops")
    names = ("copy_bytes", "crc16", "put_read", "take_reply")
    loops.__dict__.update({name: _bounded(getattr(code, name)) for name in names}, VIPER=True)
    parts = ("modbus", "modbus_judge", "modbus_write", "modbus_loops")
    for part in parts:
        importlib.import_module(f"dicamm.proto.{part}")
    kept = {f"dicamm.proto.{part}": sys.modules.pop(f"dicamm.proto.{part}") for part in parts}
    package = importlib.import_module("dicamm.proto")
    sys.modules[loops.__name__] = loops
    try:
        module = importlib.import_module("dicamm.proto.modbus")
        module.__dict__.update(
            _judge=importlib.import_module("dicamm.proto.modbus_judge").judge,
            _write=importlib.import_module("dicamm.proto.modbus_write").begin,
        )
        return module
    finally:
        for name, old in kept.items():
            sys.modules[name] = old
            setattr(package, name.rpartition(".")[2], old)


def sml_module() -> types.ModuleType:
    """A copy of dicamm.proto.sml that works as on a board with machine code."""
    loops = types.ModuleType("dicamm.proto.sml_loops")
    loops.__dict__.update(
        VIPER=True,
        TABLES=sml_loops.crc_tables(),
        crc16_kermit=sml_loops.crc16_kermit,
        take=load("sml_take_viper").take,
        skim=load("sml_skim_viper").skim,
        read_list=load("sml_list_viper").read_list,
        read_entries=load("sml_entries_viper").read_entries,
    )
    names = ("sml", "sml_transport", "sml_pool", "sml_loops")
    package = importlib.import_module("dicamm.proto")
    kept = [importlib.import_module(f"dicamm.proto.{name}") for name in names]
    for module in kept:
        del sys.modules[module.__name__]
    sys.modules[loops.__name__] = loops
    try:
        return importlib.import_module("dicamm.proto.sml")
    finally:
        for name, module in zip(names, kept):
            sys.modules[module.__name__] = module
            setattr(package, name, module)
