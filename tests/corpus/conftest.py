"""The world module lies beside the tests; they are no package."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
