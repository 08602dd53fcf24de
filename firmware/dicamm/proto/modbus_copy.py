"""Copying received bytes without a slice object on the heap.

In machine code where the interpreter can emit it (viper, compiled at import: the same .mpy fits
every architecture), elsewhere in bytecode with the same result.
"""

_VIPER_SOURCE = """
@micropython.viper
def run(target, at: int, source, first: int, count: int):
    into = ptr8(target)
    out_of = ptr8(source)
    for index in range(count):
        into[at + index] = out_of[first + index]
"""


def copy_bytecode(target, at, source, first, count):
    """target[at : at + count] = source[first : first + count], lowest index first.

    The caller has checked that both ranges lie inside their buffers.
    """
    for index in range(count):
        target[at + index] = source[first + index]


def _compile_viper():
    space = {}
    try:
        import micropython

        space["micropython"] = micropython
        exec(_VIPER_SOURCE, space)
    except (ImportError, SyntaxError, NameError, AttributeError):
        return None  # CPython; no emitter for this processor; no compiler in the image
    return space["run"]


copy_viper = _compile_viper()  # as copy_bytecode, or None
copy_bytes = copy_viper or copy_bytecode
