"""What the device was provisioned with, as its parts read it. Where it comes from: settings.py."""


class SettingsError(Exception):
    """A setting or key is missing or wrong; the text names file, key and remedy."""


class Settings:
    """One attribute per key of settings.KEYS; files: name -> bytes of certificates and keys."""

    def __init__(self, files):
        self._files = files

    def read_file(self, name):
        """The bytes of one of settings.FILES. Raises SettingsError when it is missing."""
        data = self._files.get(name)
        if data is None:
            raise SettingsError(name + " is missing: provision the device again")
        return data

    def forget_files(self):
        """Certificates and keys are where they are used: not needed here any more."""
        self._files = {}
