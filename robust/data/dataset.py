"""A data set: rows, labels, ids, and what is known about each column."""

import hashlib
from dataclasses import dataclass, field, replace

import numpy as np

from robust.data.large import row_blocks
from robust.data.schema import FeatureSchema
from robust.data.spool import take_rows
from robust.errors import InvalidInput
from robust.types import AnyArray, BoolArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Column:
    """A named column (n,) that is no model input: numbers (NaN where missing) or text ('' where missing)."""

    name: str
    values: AnyArray

    def __post_init__(self) -> None:
        """Make the values read-only."""
        object.__setattr__(self, "values", read_only(self.values))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """Rows with everything that is known about them. Arrays are read-only views, large ones perhaps of a file.

    Args:
        name: Where it came from.
        x: Inputs (n, *row shape), numeric; text columns are codes, their labels are in the schema.
        y: Targets (n,) or (n, k): class labels or numbers; None where there are none.
        ids: One id a row (n,), unique; results are paired by it.
        schema: The feature schema.
        unused: Columns that the model does not see.
        slices: Columns to slice by.
        order: Position in time (n,), or None where rows are independent.
        groups: Group of each row (n,), or None where rows are independent.

    Raises:
        InvalidInput: If the parts have different numbers of rows.
    """

    name: str
    x: AnyArray
    y: AnyArray | None
    ids: AnyArray
    schema: FeatureSchema
    unused: tuple[Column, ...] = ()
    slices: tuple[Column, ...] = ()
    order: AnyArray | None = None
    groups: AnyArray | None = None
    # A cell for a value that is computed once; never an argument, so that `replace` cannot hand on a stale
    # one.
    _fingerprint: list[str] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        """Make the arrays read-only and refuse parts of different lengths."""
        for part in ("x", "y", "ids", "order", "groups"):
            array = getattr(self, part)
            if array is not None:
                self._check_rows(part, array)
                object.__setattr__(self, part, read_only(array))
        for column in (*self.unused, *self.slices):
            self._check_rows(f"column {column.name!r}", column.values)

    def _check_rows(self, what: str, array: AnyArray) -> None:
        """One value a row."""
        if len(array) != len(self.x):
            raise InvalidInput(f"x has {len(self.x)} rows, {what} has {len(array)}: one value a row would be right")

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        extras = [
            f"{word}={[column.name for column in columns]}"
            for word, columns in (("unused", self.unused), ("slices", self.slices))
            if columns
        ]
        return ", ".join([f"Dataset({self.name!r}, x{self.x.shape} {self.x.dtype}", *extras]) + ")"

    @property
    def names(self) -> tuple[str, ...]:
        """Feature names."""
        return self.schema.names

    @property
    def targets(self) -> AnyArray:
        """The labels, for a measure that needs them.

        Raises:
            InvalidInput: If the data has none.
        """
        if self.y is None:
            raise InvalidInput(f"{self.name} has no targets: pass y=, or target= to load_data")
        return self.y

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the content (values, columns and schema, not the name), in hex; computed once."""
        if not self._fingerprint:
            digest = hashlib.sha256()
            for array in (self.x, self.y, self.ids, self.order, self.groups):
                if array is None:
                    digest.update(b"-")
                else:
                    update_digest(digest, array)
            for role, columns in (("unused", self.unused), ("slices", self.slices)):
                for column in columns:
                    digest.update(repr((role, column.name)).encode())
                    update_digest(digest, column.values)
            digest.update(repr(self.schema.key()).encode())
            self._fingerprint.append(digest.hexdigest())
        return self._fingerprint[0]

    def rows(self, keep: IntArray | BoolArray) -> "Dataset":
        """Some of the rows.

        Args:
            keep: Positions (m,), or a mask (n,).

        Returns:
            The same data with these rows, in the order of `keep`. Inputs that lie on disk stay there: rows that
            follow each other are a part of the same map, many others are copied on disk.
        """

        def cut(array: AnyArray | None) -> AnyArray | None:
            return None if array is None else array[keep]

        def cut_all(columns: tuple[Column, ...]) -> tuple[Column, ...]:
            return tuple(Column(name=column.name, values=column.values[keep]) for column in columns)

        return replace(
            self,
            x=take_rows(self.x, keep),
            y=cut(self.y),
            ids=self.ids[keep],
            unused=cut_all(self.unused),
            slices=cut_all(self.slices),
            order=cut(self.order),
            groups=cut(self.groups),
        )

    def with_x(self, x: AnyArray) -> "Dataset":
        """The same rows with other inputs, e.g. adversarial ones.

        Args:
            x: Inputs of the shape of `self.x`; they are not checked against the schema.

        Returns:
            The data with these inputs.

        Raises:
            InvalidInput: If the shape differs.
        """
        if x.shape != self.x.shape:
            raise InvalidInput(f"inputs of shape {x.shape} cannot replace those of shape {self.x.shape}")
        return replace(self, x=x)

    def row_keys(self) -> IntArray:
        """A 64-bit key a row for the counter-based generator: the id, or a hash of a text id (n,)."""
        if self.ids.dtype.kind in "iu":
            return self.ids.astype(np.uint64)
        hashes = [hashlib.blake2b(str(row).encode(), digest_size=8).digest() for row in self.ids]
        return np.frombuffer(b"".join(hashes), dtype="<u8").astype(np.uint64)


def read_only(array: AnyArray) -> AnyArray:
    """A view that cannot be written to; the caller's own array stays as it is.

    >>> own = np.zeros(2)
    >>> read_only(own).flags.writeable, own.flags.writeable
    (False, True)
    """
    view = array.view()
    view.flags.writeable = False
    return view


def update_digest(digest: "hashlib._Hash", array: AnyArray) -> None:
    """Add an array's shape, type and content to a digest, block by block; text is known by its characters alone.

    >>> one, other = hashlib.sha256(), hashlib.sha256()
    >>> update_digest(one, np.array([1])), update_digest(other, np.array([[1]]))
    (None, None)
    >>> one.digest() == other.digest()
    False
    """
    if array.dtype.kind in "OUT":
        digest.update(f"({array.shape!r}, [".encode())
        flat, comma = array.ravel(), ""
        for block in row_blocks(flat):
            digest.update((comma + ", ".join([repr(str(item)) for item in flat[block]])).encode())
            comma = ", "
        digest.update(b"])")
        return
    digest.update(repr((array.shape, array.dtype.str)).encode())
    for block in row_blocks(array):  # hashing in place: no copy where rows follow each other in memory
        digest.update(np.ascontiguousarray(array[block]).reshape(-1).view(np.uint8).data)
