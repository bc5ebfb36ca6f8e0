"""The forms that a batch can come in: how many rows, of which number type, in which order in memory."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from robust.types import AnyArray

Layout: TypeAlias = Literal["rows", "fortran", "strided", "gapped", "reversed", "read-only"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
#: Batches of these many rows are tried: none, one, and what kernels that work in blocks leave over.
SIZES = (0, 1, 2, 3, 7, 31, 33)
#: Number types that are tried.
TYPES = ("float64", "float32", "float16", "int64", "int32", "uint8", "bool")
#: Rows of a batch whose type or layout is tried.
_ROWS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchForm:
    """One form.

    Args:
        size: Rows; None for as many as there are.
        dtype: Number type; None for that of the rows.
        layout: `rows` is one row after the other; `fortran` the last axis slowest; `strided` every second row,
            `gapped` every second number of a larger array; `reversed` from the last row on; `read-only` memory that
            cannot be written to.
    """

    size: int | None = None
    dtype: str | None = None
    layout: Layout = "rows"

    @property
    def plain(self) -> bool:
        """Whether there is nothing odd about it."""
        return self == PLAIN

    @property
    def name(self) -> str:
        """Short, for tables and file names."""
        parts = [] if self.size is None else ["empty" if self.size == 0 else f"{self.size}-rows"]
        parts += [part for part in (self.dtype, self.layout if self.layout != "rows" else None) if part]
        return "-".join(parts) or "plain"

    def arranged(self, x: AnyArray) -> AnyArray:
        """Rows (b, …) in this form: private, and of the same values as far as the type can hold them."""
        if self.dtype is None:
            x = np.array(x, order="C")
        else:
            with np.errstate(over="ignore", invalid="ignore"):
                x = np.array(_whole(x, self.dtype).astype(self.dtype), order="C")
        if self.layout == "fortran":
            return np.array(x, order="F")
        if self.layout == "strided":
            room = np.zeros((2 * len(x), *x.shape[1:]), dtype=x.dtype)
            room[::2] = x
            return room[::2]
        if self.layout == "gapped":
            wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), dtype=x.dtype)
            wide[..., ::2] = x
            return wide[..., ::2]
        if self.layout == "reversed":
            return x[::-1].copy()[::-1]
        if self.layout == "read-only":
            x.flags.writeable = False
        return x


PLAIN = BatchForm()


def batch_forms(*, own: str, fixed: int | None, layouts: frozenset[Layout]) -> tuple[BatchForm, ...]:
    """The forms that are tried, each once.

    Args:
        own: Number type that the model is given otherwise.
        fixed: Rows a call exactly, or None.
        layouts: Layouts that can be handed to the model at all.
    """
    rows = fixed or _ROWS
    sizes = [] if fixed is not None else [BatchForm(size=size) for size in SIZES]
    types = [BatchForm(size=rows, dtype=kind) for kind in TYPES if kind != own]
    orders = [BatchForm(size=rows, layout=layout) for layout in LAYOUTS if layout != "rows" and layout in layouts]
    return (*sizes, *types, *orders)


def _whole(x: AnyArray, dtype: str) -> AnyArray:
    """Values that a narrow type can hold: rounded, and for `bool` and `uint8` inside its range."""
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return np.asarray(np.nan_to_num(x) != 0) if x.dtype.kind == "f" else x != 0
    if kind.kind in "iu":
        limit = np.iinfo(kind)
        rounded = np.rint(np.nan_to_num(x.astype(np.float64)))
        return np.clip(rounded, max(float(limit.min), -(2.0**31)), min(float(limit.max), 2.0**31 - 1))
    return x
