"""A growing column of numbers, one per group, for the streams."""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray


class Column:
    """Values of groups in the order in which they came.

    One block of memory that grows. A list of small arrays would lie scattered between the large ones that come and go,
    and keep the system from taking their memory back: 600 MB after 400 blocks.
    """

    def __init__(self) -> None:
        self._values = array("d")

    def __len__(self) -> int:
        return len(self._values)

    def add(self, values: NDArray[np.float64]) -> None:
        """Append values, (m,)."""
        self._values.frombytes(np.asarray(values, np.float64).tobytes())

    def extend(self, other: Column) -> None:
        """Append another column."""
        self._values.extend(other._values)

    def values(self) -> NDArray[np.float64]:
        """Return a copy of all values, (n,)."""
        return np.array(self._values, np.float64)
