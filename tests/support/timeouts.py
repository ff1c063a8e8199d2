"""How long tests wait for what has to happen. Nothing here measures speed; that is done in `benchmarks/`."""

import os

GUARD_SECONDS = 120
"""After so long a test fails instead of hanging."""


def scaled(seconds: float) -> float:
    """Return *seconds*, or longer on a machine that has more work than processors.

    For a limit that a test gives to the code, where both a short and a long one would do.
    """
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 1.0
    return seconds * max(1.0, load / (os.cpu_count() or 1))
