"""AES-128 port: what the interpreter's own cipher does, by the names the protocols use.

Knows no protocol and keeps no key. On CPython the host brings its own.
"""

import cryptolib

_ECB = 1
_CBC = 2


class Aes:
    """Block encryption and CBC decryption; data in multiples of 16 bytes."""

    def encrypt_block(self, key, block):
        """AES of one block of 16 bytes."""
        return cryptolib.aes(key, _ECB).encrypt(block)

    def decrypt_cbc(self, key, iv, data):
        """The plain data; `iv`: 16 bytes."""
        return cryptolib.aes(key, _CBC, iv).decrypt(data)
