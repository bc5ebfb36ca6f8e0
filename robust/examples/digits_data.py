"""The digits example's data: scikit-learn's 1,797 handwritten digits, split once and for all."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from robust.types import FloatArray, IntArray

# Many test rows, because a gate at 1 % needs hundreds: 361 without a single flip.
_TEST_SHARE = 0.4
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


def digits_split() -> tuple[Images, Images]:
    """Split the digits into 1,078 training and 719 test images, stratified by digit.

    x = grey level / 16, exact in float32

    Returns:
        The training images and the test images; no id is in both.

    >>> train, test = digits_split()
    >>> len(train.y), len(test.y), float(test.x.max())
    (1078, 719, 1.0)
    """
    source = load_digits()
    x = (source.images / _GREY_LEVELS).astype(np.float32)[:, np.newaxis]
    y = source.target.astype(np.int64)
    rows = np.arange(len(y), dtype=np.int64)
    train, test = train_test_split(rows, test_size=_TEST_SHARE, stratify=y, random_state=0)
    return _images(x, y, train), _images(x, y, test)


def write_digits(out: Path) -> None:
    """Write `train.npz` and `test.npz`: `x`, `y`, `ids`, and two columns that the model does not see.

    Args:
        out: An existing folder.
    """
    for name, images in zip(("train", "test"), digits_split(), strict=True):
        position, ink = images.position, images.ink
        np.savez_compressed(out / f"{name}.npz", x=images.x, y=images.y, ids=images.ids, position=position, ink=ink)


def _images(x: FloatArray, y: IntArray, rows: IntArray) -> Images:
    """Rows in the order of the source, so that nothing depends on the splitter's shuffling."""
    rows = np.sort(rows)
    return Images(x=x[rows], y=y[rows], ids=rows)
