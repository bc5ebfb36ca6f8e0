"""Work that a torch module does outside torch, told by tensors that enter its operators from elsewhere.

No operator says where such a tensor comes from. One that is the same for other inputs is a constant of the model; one
that is not was computed from them in a place that nobody counts, such as numpy.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
import torch

from robust.costing.tally import Uncounted
from robust.types import AnyArray

if TYPE_CHECKING:
    from robust.costing.recorder_torch import Recorder

_GOLDEN = 0.6180339887498949


def outside_work(
    recorder: "Recorder",
    inputs: Sequence[AnyArray],
    *,
    integer: bool,
    run: Callable[[list[AnyArray], "Recorder"], "Recorder | None"],
) -> list[Uncounted]:
    """Modules that compute something outside torch; the model runs again only where something came from elsewhere.

    Args:
        recorder: Of a run on these inputs.
        inputs: One array (rows, …) an input.
        integer: Whether the model takes whole numbers, of which it may know only a few.
        run: Runs the model on others of the same shapes after the run of a recorder; None where it does not take them.

    Returns:
        One entry a module.
    """
    if not recorder.outside:
        return []
    tried: list[Recorder] = []
    for values in others(inputs, integer=integer):
        found = run(values, tried[-1] if tried else recorder)
        tried += [] if found is None else [found]
    missed = []
    for scope in dict.fromkeys(name for name, _ in recorder.outside):
        if tried and not any(_depends(scope, recorder, other) for other in tried):
            continue
        said = "depend on the input" if tried else "may depend on the input (the model takes no other to tell)"
        missed.append(
            Uncounted(
                name=scope,
                kind=recorder.kinds.get(scope, "Module"),
                reason=f"values that {said} are computed outside torch, where neither work nor weights are seen",
                affects=("macc", "parameters", "rom", "ram"),
            )
        )
    return missed


def others(inputs: Sequence[AnyArray], *, integer: bool) -> Iterator[list[AnyArray]]:
    """Inputs of the same shapes with other values, of both signs; whole numbers among those that any model takes.

    Args:
        inputs: One array an input.
        integer: Whether they are whole numbers.

    >>> import numpy as np
    >>> [found[0].tolist() for found in others([np.zeros((1, 2))], integer=True)]
    [[[1.0, 1.0]]]
    """
    if integer:
        found = [[np.flip(array).reshape(array.shape) for array in inputs]]
        found += [[np.full_like(array, value) for array in inputs] for value in (0, 1)]
    else:
        spread = [((np.arange(array.size) + 1) * _GOLDEN % 1).reshape(array.shape) for array in inputs]
        found = [spread, [-3 * array for array in spread]]
    for arrays in found:
        if any(not np.array_equal(array, before) for array, before in zip(arrays, inputs, strict=True)):
            yield arrays


def _depends(scope: str, once: "Recorder", other: "Recorder") -> bool:
    """Whether what enters a module from elsewhere changed, by more than the state that it kept from the first run."""
    before = Counter(content for name, content in once.outside if name == scope)
    after = Counter(content for name, content in other.outside if name == scope)
    kept = after.pop(None, 0)
    return bool(before - after) and (bool(after - before) or (before - after).total() > kept)


def content(tensor: torch.Tensor) -> object:
    """What a tensor holds, as a value that equals that of an equal tensor; of one that cannot be read, none does.

    Args:
        tensor: Any tensor.
    """
    try:
        plain = tensor.detach()
        plain = plain.int_repr() if plain.is_quantized else plain.to_dense() if plain.layout != torch.strided else plain
        numbers = plain.resolve_conj().resolve_neg().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    except (NotImplementedError, RuntimeError, TypeError):
        return object()
    return str(tensor.dtype), tuple(tensor.shape), blake2b(numbers.tobytes(), digest_size=16).digest()
