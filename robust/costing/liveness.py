"""Memory that is needed at once: which buffers live at each step of a run, and where most do."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from robust.costing.tally import Peak

Buffer = int | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One operator of a run.

    Args:
        name: The layer that it belongs to.
        reads: Buffers that it reads.
        writes: Buffers that it writes; one that it also reads is changed in place.
        elementwise: Each number of its output depends on the numbers at the same place alone, so that it may write
            over an input that nobody reads later.
    """

    name: str
    reads: tuple[Buffer, ...]
    writes: tuple[Buffer, ...]
    elementwise: bool = False


def peak_memory(
    steps: Sequence[Step],
    sizes: Mapping[Buffer, int],
    *,
    inputs: Collection[Buffer],
    outputs: Collection[Buffer],
    boundary: bool,
) -> Peak:
    """The most bytes that live at once.

    max_i Σ_b size(b) [first(b) ≤ i ≤ last(b)]

    A buffer lives from the step that writes it to the last step that reads it; inputs from the start, outputs to the
    end. An elementwise step writes over the first input of the same size that dies with it, inputs of the model
    aside, which belong to the caller.

    Args:
        steps: The run, in order.
        sizes: Bytes of each buffer; those that are not listed (weights) take no part.
        inputs: Buffers that the caller fills.
        outputs: Buffers that the caller reads.
        boundary: Whether inputs and outputs are counted.

    Returns:
        Bytes at the fullest step, its name, and the bytes that live at each step.

    >>> conv = Step(name="conv", reads=("x",), writes=("a",))
    >>> relu = Step(name="relu", reads=("a",), writes=("b",), elementwise=True)
    >>> steps = [conv, relu]
    >>> peak_memory(steps, {"x": 4, "a": 32, "b": 32}, inputs=["x"], outputs=["b"], boundary=True).bytes
    36
    """
    edge = {*inputs, *outputs}
    counted = {buffer: size for buffer, size in sizes.items() if boundary or buffer not in edge}
    if not steps:
        total = sum(counted.get(buffer, 0) for buffer in edge)
        return Peak(bytes=total, at="", live=())
    first, last = _lifetimes(steps, inputs, outputs)
    roots: dict[Buffer, Buffer] = {}
    for i, step in enumerate(steps):
        if step.elementwise and len(step.writes) == 1 and first.get(step.writes[0]) == i:
            written = step.writes[0]
            for read in step.reads:
                dies = last[read] == i and read not in edge and read != written
                if dies and written in counted and counted.get(read) == counted[written]:
                    roots[written] = roots.get(read, read)
                    break
    change = [0] * (len(steps) + 1)
    spans: dict[Buffer, tuple[int, int]] = {}
    for buffer in counted:
        if buffer in first:
            root = roots.get(buffer, buffer)
            start, end = spans.get(root, (first[buffer], last[buffer]))
            spans[root] = min(start, first[buffer]), max(end, last[buffer])
    for root, (start, end) in spans.items():
        change[start] += counted[root]
        change[end + 1] -= counted[root]
    live = list(accumulate(change[:-1]))
    fullest = max(range(len(live)), key=live.__getitem__)
    return Peak(
        bytes=live[fullest],
        at=steps[fullest].name,
        live=tuple((step.name, size) for step, size in zip(steps, live, strict=True)),
    )


def _lifetimes(
    steps: Sequence[Step], inputs: Collection[Buffer], outputs: Collection[Buffer]
) -> tuple[dict[Buffer, int], dict[Buffer, int]]:
    """First and last step of each buffer."""
    first: dict[Buffer, int] = dict.fromkeys(inputs, 0)
    last: dict[Buffer, int] = dict.fromkeys(inputs, 0)
    for i, step in enumerate(steps):
        for buffer in (*step.reads, *step.writes):
            first.setdefault(buffer, i)
            last[buffer] = i
    for buffer in outputs:
        first.setdefault(buffer, 0)
        last[buffer] = len(steps) - 1
    return first, last
