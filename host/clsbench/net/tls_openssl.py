"""What Python's ssl module cannot set before 3.15: several curves, TLS 1.3 suites, signatures.

Python 3.15 has methods for them. Before, the same OpenSSL functions are called by ctypes on the
context's own SSL_CTX, which lies behind the object's header in every CPython from 3.11 to 3.14;
the address is made sure of by reading the options through it. Where that cannot be done
(another Python, an OpenSSL linked without symbols), `set_groups` takes the first curve alone and
TLS 1.3 is left out. The same way leads to what no Python has a method for: `keep_no_sessions`,
`keep_own_chain`. Knows no rule.
"""

import _ssl
import ctypes
import functools
import ssl
import sys
from collections.abc import Sequence
from typing import Any

_CTRL_SET_SESS_CACHE_MODE = 44  # SSL_CTRL_SET_SESS_CACHE_MODE of OpenSSL's ssl.h
_CTRL_BUILD_CERT_CHAIN = 105  # SSL_CTRL_BUILD_CERT_CHAIN
_CACHE_OFF = 0
_WHATEVER_CAN_BE_BUILT = 0x08 | 0x10  # SSL_BUILD_CHAIN_FLAG_IGNORE_ERROR, …_CLEAR_ERROR
_CTRL_SET_GROUPS_LIST = 92  # SSL_CTRL_SET_GROUPS_LIST
_CTRL_SET_SIGALGS_LIST = 98  # SSL_CTRL_SET_SIGALGS_LIST
_KNOWN_LAYOUT = ((3, 11), (3, 14))


class NotPossible(ValueError):
    """This OpenSSL has no such curve, suite or signature algorithm."""


@functools.cache
def can_set_all() -> bool:
    """True when several curves, TLS 1.3 suites and signature algorithms can be set."""
    return hasattr(ssl.SSLContext, "set_groups") or _library() is not None


@functools.cache
def knows_group(name: str) -> bool:
    """True when this OpenSSL has the curve (`brainpoolP256r1tls13`: that of TLS 1.3)."""
    try:
        set_groups(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), (name,))
    except NotPossible:
        return False
    return True


def set_groups(context: ssl.SSLContext, names: Sequence[str]) -> None:
    """Curves of the key agreement; only the first where no more can be set. NotPossible."""
    if hasattr(context, "set_groups"):
        _natively(context, "set_groups", names)
    elif _library() is not None:
        _by_control(context, _CTRL_SET_GROUPS_LIST, names)
    else:
        try:
            context.set_ecdh_curve({"secp256r1": "prime256v1"}.get(names[0], names[0]))
        except (ValueError, ssl.SSLError) as error:
            raise NotPossible(f"no curve {names[0]} ({error})") from error


def set_suites_13(context: ssl.SSLContext, names: Sequence[str]) -> None:
    """Suites of TLS 1.3. NotPossible."""
    if hasattr(context, "set_ciphersuites"):
        _natively(context, "set_ciphersuites", names)
        return
    library = _needed()
    if library.SSL_CTX_set_ciphersuites(_pointer(context), ":".join(names).encode()) != 1:
        _forget_errors(library)
        raise NotPossible(f"no TLS 1.3 suites {', '.join(names)}")


def set_signatures(context: ssl.SSLContext, names: Sequence[str]) -> None:
    """Signature algorithms of handshake and certificates. NotPossible."""
    if hasattr(context, "set_server_sigalgs"):
        _natively(context, "set_server_sigalgs", names)
        _natively(context, "set_client_sigalgs", names)
        return
    _by_control(context, _CTRL_SET_SIGALGS_LIST, names)


def keep_no_sessions(context: ssl.SSLContext) -> None:
    """A server remembers no session that a client could resume; nothing where it cannot be set."""
    library = _library()
    if library is not None:
        library.SSL_CTX_ctrl(_pointer(context), _CTRL_SET_SESS_CACHE_MODE, _CACHE_OFF, None)


def keep_own_chain(context: ssl.SSLContext) -> None:
    """Builds the chain that is sent behind the own certificate once, from the trusted ones.

    OpenSSL does the same in each handshake where the file has the certificate alone; to be
    called for such a file only, after both are loaded. Nothing where it cannot be done.
    """
    library = _library()
    if library is not None:
        pointer, flags = _pointer(context), _WHATEVER_CAN_BE_BUILT
        if library.SSL_CTX_ctrl(pointer, _CTRL_BUILD_CERT_CHAIN, flags, None) < 1:
            _forget_errors(library)


def _natively(context: Any, method: str, names: Sequence[str]) -> None:
    try:
        getattr(context, method)(":".join(names))
    except (ValueError, ssl.SSLError) as error:
        raise NotPossible(f"none of {', '.join(names)} ({error})") from error


def _by_control(context: ssl.SSLContext, command: int, names: Sequence[str]) -> None:
    library = _needed()
    if library.SSL_CTX_ctrl(_pointer(context), command, 0, ":".join(names).encode()) != 1:
        _forget_errors(library)
        raise NotPossible(f"{', '.join(names)}: not all known")


def _needed() -> ctypes.CDLL:
    library = _library()
    if library is None:
        raise NotPossible("this Python lets curves and TLS 1.3 suites not be set")
    return library


@functools.cache
def _library() -> ctypes.CDLL | None:
    """OpenSSL as the ssl module has loaded it, or None when it cannot be called safely."""
    first, last = _KNOWN_LAYOUT
    if sys.implementation.name != "cpython" or not first <= sys.version_info[:2] <= last:
        return None
    try:
        library = ctypes.CDLL(getattr(_ssl, "__file__", None))
        library.SSL_CTX_get_options.restype = ctypes.c_uint64
        library.SSL_CTX_get_options.argtypes = [ctypes.c_void_p]
        library.SSL_CTX_ctrl.restype = ctypes.c_long
        library.SSL_CTX_ctrl.argtypes = [
            ctypes.c_void_p,
            ctypes.c_int,
            ctypes.c_long,
            ctypes.c_char_p,
        ]
        library.SSL_CTX_set_ciphersuites.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        library.ERR_clear_error.argtypes = []
    except (OSError, AttributeError):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    fits = library.SSL_CTX_get_options(_pointer(context)) == context.options
    return library if fits else None


def _pointer(context: ssl.SSLContext) -> int | None:
    return ctypes.c_void_p.from_address(id(context) + object.__basicsize__).value


def _forget_errors(library: ctypes.CDLL) -> None:
    """OpenSSL keeps errors in a queue; one left there would be told as the next handshake's."""
    library.ERR_clear_error()
