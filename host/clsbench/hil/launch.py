"""Makes the terminal on standard input the controlling one, then becomes the interpreter.

Run as a file by the board (`python launch.py PROGRAM ARGUMENT…`), so that no Python code has
to run between fork and exec of a process that has threads.
"""

import fcntl
import os
import sys
import termios

if __name__ == "__main__":
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.execv(sys.argv[1], sys.argv[1:])
