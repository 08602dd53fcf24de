"""The rigs are plain modules beside the tests, for both interpreters."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
