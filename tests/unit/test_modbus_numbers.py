"""Numbers that device modules have inlined, under a private name, are those of modbus_pdu."""

import importlib

import pytest

from dicamm.proto import modbus_judge, modbus_pdu

MODULES = [
    "proto.modbus",
    "proto.modbus_judge",
    "proto.modbus_write",
    "app.bus",
    "app.bus_request",
]


@pytest.mark.parametrize("name", MODULES)
def test_inlined_numbers_are_the_public_ones(name: str):
    module = importlib.import_module(f"dicamm.{name}")
    numbers = {key: value for key, value in vars(modbus_pdu).items() if key.isupper()}
    inlined = {key[1:]: value for key, value in vars(module).items() if key[1:] in numbers}
    assert inlined
    assert inlined == {key: numbers[key] for key in inlined}


def test_counted_reasons_are_the_error_names():
    first, last = modbus_pdu.SHORT, modbus_pdu.EXCEPTION
    assert modbus_pdu.ERROR_NAMES[first:last] == modbus_judge._COUNTED
