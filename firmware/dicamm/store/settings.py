"""Settings of the device: one table of keys, read from `config.json` and DER or key files.

Provisioning writes the files at flashing time; the device only reads them. Every key, its
type and its default stands in KEYS, nowhere else.
"""

import json

# key: (type, default); a default of None makes the key mandatory
KEYS = {
    "device_id": (str, None),
    "cls_id": (str, None),
    "meter_id": (str, None),
    "meter_unit": (int, 1),
    "meter_profile": (dict, None),  # compact form made from firmware/meters/*.toml
    "record_obis": (list, None),  # what a record holds
    "poll_obis": (list, None),  # what is read between records
    "poll_ms": (int, 500),
    "bus_timeout_ms": (int, 300),
    "bus_tries": (int, 2),
    "baud": (int, 9600),
    "drift_ppm": (int, 50),
    "gateway_host": (str, ""),  # empty: no gateway, bench link only
    "gateway_port": (int, 0),
    "gateway_name": (str, ""),
}

FILES = ("cls.crt.der", "cls.key.der", "han-ca.der", "records.key")


class SettingsError(Exception):
    """A settings file is missing or wrong; the text names file, key and remedy."""


class Settings:
    """One attribute per key of KEYS, and `directory` for the key files."""

    def __init__(self, values, directory):
        self.directory = directory
        for name in values:
            if name not in KEYS:
                raise SettingsError("config.json: unknown key '" + name + "'")
        for name in KEYS:
            kind, default = KEYS[name]
            value = values.get(name, default)
            if value is None:
                raise SettingsError("config.json: key '" + name + "' is missing")
            if not isinstance(value, kind):
                raise SettingsError("config.json: key '" + name + "' has the wrong type")
            setattr(self, name, value)

    def read_file(self, name):
        """The bytes of one of FILES. Raises SettingsError when it is missing."""
        try:
            with open(self.directory + "/" + name, "rb") as file:
                return file.read()
        except OSError:
            raise SettingsError(name + " is missing: provision the device again") from None


def load(directory):
    """Settings from `directory`/config.json. Raises SettingsError."""
    try:
        with open(directory + "/config.json") as file:
            values = json.load(file)
    except OSError:
        raise SettingsError("config.json is missing: provision the device first") from None
    except ValueError:
        raise SettingsError("config.json is not JSON: provision the device again") from None
    return Settings(values, directory)
