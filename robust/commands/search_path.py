"""Where the commands look for the factories that their flags and configs name."""

import sys
from pathlib import Path


def look_in(folder: Path) -> None:
    """Let a factory be found beside what names it; last, so that no file there stands in for an installed module."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
