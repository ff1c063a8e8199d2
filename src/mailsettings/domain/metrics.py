"""What can be measured at any moment. Knows no monitoring system."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gauge:
    """Something that goes up and down: a value for each combination of the *labels*, or one for none.

    There have to be few combinations, and known ones: each is kept by whoever looks, for months. An id, an
    address or a name that somebody chose is no label.
    """

    name: str
    meaning: str
    values: Mapping[tuple[str, ...], float]
    labels: tuple[str, ...] = ()
