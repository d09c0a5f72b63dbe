"""Makes the agent importable as it is in its image, and the tests' own helpers beside it."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
