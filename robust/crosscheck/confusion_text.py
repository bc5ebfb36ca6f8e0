"""The confusion matrix of two tensors of class scores, as counts and as text."""

from dataclasses import dataclass

import numpy as np

from robust.types import IntArray

#: A matrix of more classes is no longer read: it is neither counted nor printed.
MOST_CLASSES = 20
_WIDTH = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Confusion:
    """How often each class of the reference became each class of the prediction.

    Args:
        classes: Classes k.
        samples: Rows n.
        counts: (k, k), rows are classes of the reference, columns those of the prediction; None with more than 20
            classes.
    """

    classes: int
    samples: int
    counts: IntArray | None

    def text(self) -> str:
        """The matrix as lines: rows reference, columns predicted, `.` for a 0 off the diagonal.

        Returns:
            A header `k classes (n samples)`, a rule, one line a class; the header alone with more than 20 classes.

        >>> print(count_confusion(np.array([0, 0, 1]), np.array([0, 0, 0]), 2).text())
        2 classes (3 samples)
        ---------------------
        C0    2    .
        C1    1    0
        """
        header = f"{self.classes} classes ({self.samples} samples)"
        if self.counts is None:
            return header
        width = max(_WIDTH, len(str(int(self.counts.max()))) + 1)
        margin = len(f"C{self.classes - 1}")
        lines = [
            f"C{i}".ljust(margin)
            + "".join(("." if i != j and count == 0 else str(int(count))).rjust(width) for j, count in enumerate(row))
            for i, row in enumerate(self.counts)
        ]
        return "\n".join([header, "-" * max(len(header), len(lines[0])), *lines])


def count_confusion(actual: IntArray, found: IntArray, classes: int) -> Confusion:
    """Count pairs of classes; every class has its row and column, whether it occurs or not.

    Args:
        actual: Classes of the reference (n,), 0 … k − 1.
        found: Classes of the prediction (n,).
        classes: k.

    Returns:
        The counts.
    """
    counts: IntArray | None = None
    if classes <= MOST_CLASSES:
        pairs = np.asarray(actual, dtype=np.int64) * classes + found
        counts = np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
    return Confusion(classes=classes, samples=len(actual), counts=counts)
