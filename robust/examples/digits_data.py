"""The digits example's data: scikit-learn's 1,797 handwritten digits, split once and for all."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from robust.types import FloatArray, IntArray

# Many test rows, because a gate at 1 % needs hundreds: 361 without a single flip.
_TEST_SHARE = 0.4
# What is chosen (a threshold, a bit width for each layer) is chosen on rows that neither trained nor judge.
_VALIDATION_ROWS = 300
_GREY_LEVELS = 16
_SOURCE_ROWS = 1797


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Images:
    """Labelled images, in the order of the source.

    Args:
        x: Grey values in [0, 1], float32, shape (n, 1, 8, 8).
        y: Digits 0 … 9, shape (n,).
        ids: Position of each image in scikit-learn's data set, shape (n,).
    """

    x: FloatArray
    y: IntArray
    ids: IntArray

    @property
    def position(self) -> FloatArray:
        """Place in the source, from 0 to 1: writers follow each other there, though it does not name them (n,)."""
        return self.ids / (_SOURCE_ROWS - 1)

    @property
    def ink(self) -> FloatArray:
        """Mean grey value of the image, in [0, 1]: how thick the pen was (n,)."""
        return np.asarray(self.x.astype(np.float64).mean(axis=(1, 2, 3)))


class Split(NamedTuple):
    """The three parts of the digits; no id is in two of them."""

    train: Images
    validation: Images
    test: Images


def digits_split() -> Split:
    """Split the digits into 778 training, 300 validation and 719 test images, stratified by digit.

    x = grey level / 16, exact in float32

    Returns:
        The three parts.

    >>> train, validation, test = digits_split()
    >>> len(train.y), len(validation.y), len(test.y), float(test.x.max())
    (778, 300, 719, 1.0)
    """
    source = load_digits()
    x = (source.images / _GREY_LEVELS).astype(np.float32)[:, np.newaxis]
    y = source.target.astype(np.int64)
    rows = np.arange(len(y), dtype=np.int64)
    known, test = train_test_split(rows, test_size=_TEST_SHARE, stratify=y, random_state=0)
    train, validation = train_test_split(known, test_size=_VALIDATION_ROWS, stratify=y[known], random_state=0)
    return Split(*(_images(x, y, part) for part in (train, validation, test)))


def write_digits(out: Path) -> None:
    """Write `train.npz`, `validation.npz` and `test.npz`: `x`, `y`, `ids`, and two columns that the model does not see.

    Args:
        out: An existing folder.
    """
    for name, images in digits_split()._asdict().items():
        position, ink = images.position, images.ink
        np.savez_compressed(out / f"{name}.npz", x=images.x, y=images.y, ids=images.ids, position=position, ink=ink)


def _images(x: FloatArray, y: IntArray, rows: IntArray) -> Images:
    """Rows in the order of the source, so that nothing depends on the splitter's shuffling."""
    rows = np.sort(rows)
    return Images(x=x[rows], y=y[rows], ids=rows)
