"""`python -m clsbench`: the same as the command `clsbench`."""

from clsbench.cli.main import main

main()
