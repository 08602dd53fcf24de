# ruff: noqa: F401
"""The loops of a Modbus transaction as fast as this interpreter has them."""

try:
    from dicamm.proto.modbus_viper import copy_bytes, crc16, put_read, take_reply

    VIPER = True
except (ImportError, SyntaxError, ValueError, NameError, AttributeError):
    # CPython; no emitter for this processor; compiled for another one
    from dicamm.proto.modbus_bytecode import copy_bytes, crc16, put_read, take_reply

    VIPER = False
