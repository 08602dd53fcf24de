"""AES-128 for the device's protocol cores when they run on the host, by `cryptography`."""

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


class Aes:
    """As dicamm.drivers.aes.Aes, and CBC encryption for simulated meters."""

    def encrypt_block(self, key: bytes, block: bytes) -> bytes:
        """AES of one block of 16 bytes."""
        return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(bytes(block))

    def decrypt_cbc(self, key: bytes, iv: bytes, data: bytes) -> bytes:
        """The plain data; `iv`: 16 bytes."""
        return Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor().update(bytes(data))

    def encrypt_cbc(self, key: bytes, iv: bytes, data: bytes) -> bytes:
        """The encrypted data; `iv`: 16 bytes."""
        return Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor().update(bytes(data))
