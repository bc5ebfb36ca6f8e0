"""What was given or found before it is a data set, and what is said about its columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from robust.data.columns import RawColumn, StoredColumn
from robust.data.frame import is_frame
from robust.data.naming import unknown_name
from robust.errors import InvalidInput
from robust.types import AnyArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """What was given, or found in a file.

    Args:
        name: Where it came from.
        tensor: Inputs (n, …) as an array, or None for a table.
        columns: Columns of a table; those without another part are the inputs.
        beside: Arrays that are no inputs, by name.
    """

    name: str
    tensor: AnyArray | None = None
    columns: tuple[RawColumn | StoredColumn, ...] = ()
    beside: Mapping[str, object] = field(default_factory=dict)

    def find(self, name: str, part: str) -> object:
        """The column or array of this name.

        Raises:
            InvalidInput: If there is none.
        """
        named: dict[str, object] = {column.name: column for column in self.columns} | dict(self.beside)
        if not named:
            raise InvalidInput(
                f"{part}={name!r} names a column, but x is an array without named columns: pass a DataFrame, "
                "or the values themselves"
            )
        if name not in named:
            raise InvalidInput(unknown_name(name, tuple(named), where=f"{part}: {self.name} has no column"))
        found = named[name]
        return found.read() if isinstance(found, StoredColumn) else found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parts:
    """What is said about the columns: names of columns, or values, or None."""

    y: object = None
    unused: object = None
    slices: object = None
    order: object = None
    groups: object = None
    ids: object = None

    @property
    def leaving(self) -> set[str]:
        """Names of the columns that are therefore no inputs."""
        single = {value for value in (self.y, self.order, self.groups, self.ids) if isinstance(value, str)}
        return single | set(listed(self.unused, "unused"))

    @property
    def labels(self) -> set[str]:
        """Names of the columns whose values only tell rows apart: numbers among text are no mistake there."""
        single = {value for value in (self.groups, self.ids) if isinstance(value, str)}
        return single | set(listed(self.slices, "slices"))

    @property
    def columns(self) -> set[str]:
        """All columns that are given by name."""
        return self.leaving | set(listed(self.slices, "slices"))


def listed(columns: object, part: str) -> tuple[str, ...]:
    """The names in a list of column names; none where columns are given by value."""
    if columns is None or isinstance(columns, Mapping) or is_frame(columns):
        return ()
    if isinstance(columns, str):
        return (columns,)
    if not isinstance(columns, Sequence) or not all(isinstance(name, str) for name in columns):
        raise InvalidInput(
            f"{part} must be a list of column names, a mapping from names to arrays, or a DataFrame, "
            f"got {type(columns).__name__}"
        )
    return tuple(columns)
