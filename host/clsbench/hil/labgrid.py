"""A target of labgrid as a board: labgrid knows the place, its ports and its power switch.

Taken over are the serial port (local, or exported by rfc2217 or raw TCP), a second one of the
name `bus` for the RS-485 adapter, and whatever driver switches the power. Needs labgrid, which
brings a pyserial of its own and therefore lives in an environment of its own (docs/hil.md).
"""

import importlib
from dataclasses import replace
from functools import cache
from typing import Any

from clsbench.errors import BadInput, EnvironmentProblem
from clsbench.hil.serial_board import SerialOptions

PREFIX = "labgrid:"
BUS = "bus"  # name of the adapter's port in the environment
_PORTS = ("SerialPort", "NetworkSerialPort")


@cache
def board_of(name: str, env_file: str, given: SerialOptions) -> tuple[str, SerialOptions]:
    """(port, options) of `labgrid:TARGET`. Raises BadInput, EnvironmentProblem."""
    if not env_file:
        raise BadInput(f"board {name}: labgrid's environment is missing: --lg-env FILE or LG_ENV")
    try:
        target = _labgrid("labgrid").Environment(env_file).get_target(name.removeprefix(PREFIX))
    except ImportError as error:
        raise EnvironmentProblem("labgrid is not installed in this environment") from error
    if target is None:
        raise BadInput(f"board {name}: {env_file} has no such target")
    ports = {port.name == BUS: port for port in _ports(target)}
    if False not in ports:
        raise BadInput(f"board {name}: its target has no serial port")
    options = replace(given, power=_power(target) or given.power)
    if True in ports:
        options = replace(options, bus=_url(target, ports[True]))
    return _url(target, ports[False]), options


def _labgrid(module: str) -> Any:
    return importlib.import_module(module)


def _ports(target: Any) -> list[Any]:
    resource = _labgrid("labgrid.resource")
    kinds = tuple(getattr(resource, kind) for kind in _PORTS)
    return [each for each in target.resources if isinstance(each, kinds)]


def _url(target: Any, port: Any) -> str:
    """What pyserial opens."""
    target.await_resources([port])
    if not hasattr(port, "host"):
        return str(port.port)
    host, number = _labgrid("labgrid.util.proxy").proxymanager.get_host_and_port(port)
    scheme = "rfc2217" if port.protocol == "rfc2217" else "socket"
    return f"{scheme}://{host}:{number}"


def _power(target: Any) -> Any:
    """A function that takes `on` or `off`, or None."""
    try:
        driver = target.get_driver("PowerProtocol")
    except _labgrid("labgrid.exceptions").NoDriverFoundError:
        return None
    return lambda state: getattr(driver, state)()
