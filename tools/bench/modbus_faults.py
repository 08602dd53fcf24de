"""What both masters make of broken replies: rows [name, ours, peer] as JSON. MicroPython."""

import json

from modbus_masters import MemoryUart, peer_master

from dicamm.proto import modbus, modbus_pdu

REPLIES = (  # what it is, the reply to a read of unit 1, function 4, 2 registers at 0x48
    ("bit error in the data", "01040443A900006FE0"),
    ("bit error in the CRC", "01040443A800006FE1"),
    ("silence", ""),
    ("1 byte only", "01"),
    ("2 bytes only", "0104"),
    ("header only", "010404"),
    ("cut frame", "01040443A800"),
    ("another slave", "02040443A800005CE0"),
    ("another function", "01030443A800006E57"),
    ("exception of another function", "018302C0F1"),
    ("byte count 2", "01040243A889BE"),
    ("byte count 8", "01040843A8000043A80000DD86"),
    ("good reply and a 0x00", "01040443A800006FE000"),
    ("good reply and a 0xff", "01040443A800006FE0FF"),
    ("0x00 and a good reply", "0001040443A800006FE0"),
    ("echo and a good reply", "010400480002F1DD01040443A800006FE0"),
    ("regular exception", "018402C2C1"),
    ("good reply", "01040443A800006FE0"),
)


def ours(reply):
    """The verdict of our client in words."""
    client = modbus.RtuClient()
    client.read(1, 4, 0x48, 2)
    client.feed(reply)
    if client.timeout() == modbus_pdu.DONE:
        return "value" if bytes(client.payload) == b"\x43\xa8\x00\x00" else "wrong value"
    return modbus_pdu.ERROR_NAMES[client.error]


def theirs(master, reply):
    """What the peer returns or raises in words."""
    MemoryUart.reply = reply
    try:
        numbers = master.read_input_registers(1, 0x48, 2, False)
    except (OSError, ValueError) as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - one that its documentation does not name
        return "escapes: " + repr(error)
    return "value" if tuple(numbers) == (0x43A8, 0) else "accepted " + repr(numbers)


master = peer_master(MemoryUart)
replies = [(name, bytes.fromhex(text)) for name, text in REPLIES]
print(json.dumps([(name, ours(reply), theirs(master, reply)) for name, reply in replies]))
