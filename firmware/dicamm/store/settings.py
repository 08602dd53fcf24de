"""Settings of the device: one table of keys, and how they and the key material get here.

Provisioning writes `config.json` and DER or key files at flashing time; the start takes them over
into the settings store. Every key, its type and its default stands in KEYS, nowhere else. Needed
at the start alone: what lasts is in configuration.py.
"""

import json
import os

from dicamm.store.configuration import Settings, SettingsError
from dicamm.store.settings_store import SettingsStore, StoreError

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
    "rated_w": (int, 0),  # power of the load; a limit below opens the relay. 0: any limit does
    "sign": (int, 0),  # 1: records go to the gateway signed with sign.key besides
    "trial_s": (int, 120),  # real time in which a new version has to prove itself
    "gateway_host": (str, ""),  # empty: no gateway, bench link only
    "gateway_port": (int, 0),
    "gateway_name": (str, ""),
    "wifi_ssid": (str, ""),  # of a board with a radio; empty: off
    "wifi_key": (str, ""),
    "channel": (dict, {}),  # the CLS channel: see app.channel_task; empty: none
}

CONFIG = "config.json"
FILES = ("cls.crt.der", "cls.key.der", "han-ca.der", "records.key", "sign.key")


def load(directory, region=None):
    """The settings: from the store in `region`, once it has taken over what provisioning left.

    Provisioning files in `directory` are put into the store, all of them or, after a power cut,
    none, and then taken off the file system. Without a region the files are read where they are.
    Raises SettingsError.
    """
    found = _provisioned(directory)
    if region is not None:
        try:
            found = _taken_over(found, directory, SettingsStore(region))
        except (StoreError, ValueError) as error:
            raise SettingsError("settings store: " + str(error)) from None
    data = found.pop(CONFIG, None)
    if data is None:
        raise SettingsError("config.json is missing: provision the device first")
    try:
        values = json.loads(data)
    except ValueError:
        raise SettingsError("config.json is not JSON: provision the device again") from None
    return _checked(values, Settings(found))


def _provisioned(directory):
    found = {}
    for name in FILES + (CONFIG,):
        try:
            with open(directory + "/" + name, "rb") as file:
                found[name] = file.read()
        except OSError:
            pass  # nothing new of this name
    return found


def _taken_over(fresh, directory, store):
    changed = {name: fresh[name] for name in fresh if store.get(name) != fresh[name]}
    if changed:
        store.put(changed)
    for name in fresh:
        os.remove(directory + "/" + name)
    return {name: store.get(name) for name in store.names()}


def _checked(values, settings):
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
        setattr(settings, name, value)
    return settings
