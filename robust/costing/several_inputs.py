"""A call that is timed, and how one is made of an ONNX file with several inputs, such as a recurrent layer's states."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from robust.costing.opening import file_identity
from robust.errors import InvalidInput
from robust.models.runner import Runner, load_runner
from robust.tensors.fitting import fit_tensors
from robust.types import AnyArray

_FEWEST = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WholeCall:
    """A model and what it is called on.

    Args:
        name: The model's name.
        identity: Its content hash; empty where it has none.
        data: Name and fingerprint of the data.
        check: One checked call.
        open: The model's own call, with as little around it as its framework allows.
        layers: From timed calls and calls before them to the seconds of each layer in each run.
        threads: Threads of an operator, where the framework has them.
    """

    name: str
    identity: str
    data: tuple[str, str]
    check: Callable[[], object]
    open: Callable[[], AbstractContextManager[Callable[[], object]]]
    layers: Callable[[int, int], Mapping[str, list[float]]]
    threads: object


def whole_call(model: object, data: object, *, batch_size: int) -> WholeCall | None:
    """A call of an ONNX file with several inputs.

    Args:
        model: Anything.
        data: One array (n, …) an input, in a sequence or by name.
        batch_size: Rows a call; the first are used, repeated where there are fewer.

    Returns:
        The call; None for models of one input, and whatever else is no such file.

    Raises:
        InvalidInput: If the arrays do not fit the inputs, or the file has another batch.
    """
    if not isinstance(model, str | Path) or Path(model).suffix.lower() != ".onnx" or not Path(model).is_file():
        return None
    path = Path(model)
    try:
        runner = load_runner(path)
    except InvalidInput:
        if isinstance(data, list | tuple | Mapping):
            raise
        return None  # whatever is wrong with it, it was not called on several arrays
    specs = runner.inputs or ()
    if len(specs) < _FEWEST:
        return None
    if runner.fixed_batch not in (None, batch_size):
        raise InvalidInput(f"{path.name} takes exactly {runner.fixed_batch} rows a call, got batch_size={batch_size}")
    given = _arrays(data, [spec.name for spec in specs], path.name)
    try:
        arrays, _ = fit_tensors(given, specs)
    except InvalidInput as error:
        raise InvalidInput(f"{path.name}: {error}") from error
    rows = [np.ascontiguousarray(array[np.arange(batch_size) % len(array)]) for array in arrays]
    return _onnx_call(path, runner, {spec.name: array for spec, array in zip(specs, rows, strict=True)}, arrays)


def _arrays(data: object, names: Sequence[str], model: str) -> list[AnyArray]:
    """One array an input, in the model's order."""
    right = f"one array each for {', '.join(map(repr, names))}, in a list or by name, would be right"
    if isinstance(data, Mapping):
        if set(data) != set(names):
            raise InvalidInput(f"{model} got arrays for {', '.join(map(repr, data))}; {right}")
        return [np.asarray(data[name]) for name in names]
    if not isinstance(data, list | tuple) or len(data) != len(names):
        what = f"{len(data)} arrays" if isinstance(data, list | tuple) else type(data).__name__
        raise InvalidInput(f"{model} takes {len(names)} inputs, got {what}; {right}")
    return [np.asarray(array) for array in data]


def _onnx_call(path: Path, runner: Runner, feeds: Mapping[str, AnyArray], arrays: Sequence[AnyArray]) -> WholeCall:
    from robust.costing.calls_onnx import node_times, onnx_threads, session_call
    from robust.models.onnx_session import open_session

    content = path.read_bytes()
    session, parsed = open_session(content, path)
    source: Any = str(path) if parsed.outside() else content
    digest = sha256()
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())

    @contextmanager
    def opened() -> Iterator[Callable[[], object]]:
        yield session_call(session, feeds, None)

    return WholeCall(
        name=path.name,
        identity=file_identity(path, content),
        data=("inputs", digest.hexdigest()),
        check=lambda: runner.run(list(feeds.values())),
        open=opened,
        layers=lambda runs, warmup: node_times(source, feeds, None, runs=runs, warmup=warmup),
        threads=onnx_threads(session) or "one a core",
    )
