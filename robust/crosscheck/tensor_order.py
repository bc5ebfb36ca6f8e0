"""Which tensor of one model is which of the other, and in which order their axes lie."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

from robust.errors import InvalidInput
from robust.tensors.spec import TensorSpec, shown

Position: TypeAlias = Literal["channels_first", "channels_last"]


def check_position(option: str, position: object) -> Position | None:
    """Read where the channels of the candidate's tensors lie.

    Raises:
        InvalidInput: If it is another word.
    """
    if position in ("channels_first", "chfirst"):
        return "channels_first"
    if position in ("channels_last", "chlast"):
        return "channels_last"
    if position is None:
        return None
    raise InvalidInput(f"{option} must be 'channels_first' or 'channels_last', got {position!r}")


def matched(have: Sequence[TensorSpec], want: Sequence[TensorSpec], *, what: str) -> tuple[list[int], list[str]]:
    """For each wanted tensor the position of its counterpart: by name where all names are shared, else in order.

    Args:
        have: Tensors of one model.
        want: Tensors of the other.
        what: `inputs` or `outputs`, for messages.

    Returns:
        Positions in `have`, and a note where names changed the order.

    Raises:
        InvalidInput: If there are more or fewer.

    >>> a, b = (TensorSpec(name=name, shape=(1,), dtype="float32") for name in "ab")
    >>> matched([a, b], [b, a], what="outputs")
    ([1, 0], ['the outputs lie in another order and are matched by name: b, a'])
    """
    if len(have) != len(want):
        names = [", ".join(repr(spec.name) for spec in specs) for specs in (have, want)]
        raise InvalidInput(
            f"the reference has {len(have)} {what} ({names[0]}), the candidate {len(want)} ({names[1]}): "
            "as many of both would be right"
        )
    there, here = [spec.name for spec in have], [spec.name for spec in want]
    if there == here or len(set(here)) < len(here) or set(there) != set(here):
        return list(range(len(want))), []
    note = f"the {what} lie in another order and are matched by name: {', '.join(here)}"
    return [there.index(name) for name in here], [note]


def moved(shape: tuple[int | None, ...], position: Position | None) -> tuple[int | None, ...]:
    """Shape of a row once its channels were moved.

    >>> moved((3, 32, 24), "channels_last"), moved((7,), "channels_last")
    ((32, 24, 3), (7,))
    """
    if position is None or len(shape) < 2:
        return shape
    return (*shape[1:], shape[0]) if position == "channels_last" else (shape[-1], *shape[:-1])


def opposite(position: Position | None) -> Position | None:
    """Where channels lay before they were moved."""
    if position is None:
        return None
    return "channels_first" if position == "channels_last" else "channels_last"


def check_layout(have: tuple[int | None, ...], want: tuple[int | None, ...], *, what: str, option: str) -> None:
    """Refuse to take one arrangement of axes for another, which a reshape would scramble without a word.

    Args:
        have: Shape of a row.
        want: Shape that it is to have; None where a size is free.
        what: The tensor, as the subject of the message.
        option: The option that says where channels lie.

    Raises:
        InvalidInput: If sizes other than 1 differ in order or number, and neither is flat.

    >>> check_layout((1, 1, 10), (10,), what="output 'y'", option="outputs_ch_position")
    """
    long, wanted = [size for size in have if size != 1], [size for size in want if size != 1]
    same = len(long) == len(wanted) and all(a == b or None in (a, b) for a, b in zip(long, wanted, strict=True))
    if same or None in (*long, *wanted) or len(long) <= 1 or len(wanted) <= 1:
        return
    turned = sorted(map(str, long)) == sorted(map(str, wanted))
    hint = f"; if its channels lie elsewhere, say {option}" if turned else ""
    raise InvalidInput(f"{what} has rows of shape {shown(have)}, {shown(want)} is needed{hint}")
