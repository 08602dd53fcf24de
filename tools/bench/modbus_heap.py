"""50 Modbus reads of 80 registers in whatever heap there is. MicroPython.

    micropython -X heapsize=20k -m modbus_heap MASTER

Prints the bytes that importing and constructing the master took; MemoryError when it does not fit.
"""

import gc
import sys

from modbus_masters import MASTERS, MemoryUart, frame

frame(1)  # the CRC is the harness's too
gc.collect()
before = gc.mem_alloc()
master = MASTERS[sys.argv[1]](80)
gc.collect()
print(gc.mem_alloc() - before)
MemoryUart.reply = master.reply
for _ in range(50):
    master.run()
