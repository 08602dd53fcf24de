"""50 Modbus reads of 80 registers in whatever heap there is. MicroPython.

    micropython -X heapsize=20k -m modbus_heap MASTER [PART]

Prints the bytes that importing and constructing the master took, with the harness's reply and
buffers, and with the module dicamm.proto.PART; MemoryError when it does not fit.
"""

import gc
import sys

from modbus_masters import MASTERS, MemoryUart

__import__("dicamm.proto")  # the package is not Modbus's alone
gc.collect()
before = gc.mem_alloc()
master = MASTERS[sys.argv[1]](80)
for part in sys.argv[2:]:
    __import__("dicamm.proto." + part)
gc.collect()
print(gc.mem_alloc() - before)
MemoryUart.reply = master.reply
for _ in range(50):
    master.run()
