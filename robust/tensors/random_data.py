"""Random samples for models that nobody has data for: uniform, and the same for the same seed."""

from collections.abc import Sequence
from numbers import Integral, Real

import numpy as np

from robust.errors import InvalidInput
from robust.tensors.quantizing import quantize
from robust.tensors.spec import QUANTIZED, TensorSpec, shown
from robust.tensors.validation_data import ValidationData
from robust.types import AnyArray, FloatArray

NO_REFERENCES = "No output/reference samples are provided"


def random_inputs(
    specs: Sequence[TensorSpec] | None,
    *,
    rows: int = 10,
    seed: int = 42,
    low: float | None = None,
    high: float | None = None,
) -> ValidationData:
    """Uniform random inputs: x ~ U[low, high), independently for each number.

    Row i of an input depends on the seed, the input's position and i alone: the first rows of a larger set are those
    of a smaller one.

    Args:
        specs: The model's inputs; free sizes are taken as 1.
        rows: Number of samples, at least 1.
        seed: At least 0.
        low: Lowest value, with `high`, in real numbers: quantized inputs get the integers that stand for them.
            Default: [0, 1) for floating inputs, all integers of its type for an input of 8 or 16 bits.
        high: Upper end, not reached by floating inputs.

    Returns:
        The inputs, without references; its notes are the lines of the log.

    Raises:
        InvalidInput: If nothing is known about the inputs, the range is empty or beyond a type, or an input takes
            integers of 32 or 64 bits (codes, lengths) and no range is given.

    >>> spec = TensorSpec(name="x", shape=(2,), dtype="int8")
    >>> data = random_inputs([spec], rows=20, low=-3, high=5)
    >>> data.inputs[0].shape, bool((data.inputs[0] >= -3).all() and (data.inputs[0] < 5).all())
    ((20, 2), True)
    >>> data.notes[0]
    'generating random data, size=20, seed=42, range=(-3.0, 5.0)'
    """
    if not specs:
        raise InvalidInput("the model does not say what its inputs are: random data need shapes; give input files")
    _check_whole("rows", rows, 1)
    _check_whole("seed", seed, 0)
    limits = _limits(low, high)
    notes = []
    arrays = []
    for i, spec in enumerate(specs):
        row = tuple(1 if size is None else size for size in spec.shape)
        if row != spec.shape:
            notes.append(f"free sizes of input {spec.name!r} are taken as 1: {shown(spec.shape)} -> {shown(row)}")
        generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([int(seed), i])))
        arrays.append(_drawn(generator, (int(rows), *row), spec, limits))
    extent = "default" if limits is None else f"({limits[0]}, {limits[1]})"
    head = f"generating random data, size={rows}, seed={seed}, range={extent}"
    return ValidationData(inputs=tuple(arrays), outputs=None, notes=(head, *notes, NO_REFERENCES))


def _check_whole(option: str, value: object, least: int) -> None:
    """Refuse what is no whole number, or is too small."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:
        raise InvalidInput(f"{option} must be a whole number of at least {least}, got {value!r}")


def _limits(low: object, high: object) -> tuple[float, float] | None:
    """Both ends, or None where neither is given."""
    if low is None and high is None:
        return None
    ends = []
    for option, value in (("low", low), ("high", high)):
        if isinstance(value, bool) or not isinstance(value, Real) or not np.isfinite(float(value)):
            raise InvalidInput(f"a range needs two finite numbers, got {option}={value!r}")
        ends.append(float(value))
    if not ends[0] < ends[1]:
        raise InvalidInput(f"a range goes from low to high, got low={ends[0]}, high={ends[1]}")
    return ends[0], ends[1]


def _drawn(
    generator: np.random.Generator, shape: tuple[int, ...], spec: TensorSpec, limits: tuple[float, float] | None
) -> AnyArray:
    """Numbers of one input."""
    if spec.kind == "f":
        return _floats(generator, shape, spec.type.newbyteorder("="), limits or (0.0, 1.0))
    if spec.kind == "b":
        return generator.integers(0, 2, size=shape, dtype=np.uint8).astype(bool)
    if spec.quantization is not None and limits is not None:
        return quantize(_floats(generator, shape, np.dtype(np.float64), limits), spec.quantization)
    bounds = np.iinfo(spec.type)
    if limits is None:
        if spec.dtype not in QUANTIZED:
            raise InvalidInput(
                f"input {spec.name!r} takes {spec.dtype}: which of these integers mean something is not known; "
                "give a range, or input files"
            )
        return generator.integers(bounds.min, bounds.max, size=shape, dtype=spec.type, endpoint=True)
    first, end = np.ceil(limits[0]), np.ceil(limits[1])
    if not (bounds.min <= first < end <= float(bounds.max) + 1):
        raise InvalidInput(
            f"input {spec.name!r} takes {spec.dtype}: a range from {limits[0]} to {limits[1]} holds no integers of it, "
            f"or others besides; one inside {bounds.min} … {bounds.max} would be right"
        )
    return generator.integers(int(first), int(end) - 1, size=shape, dtype=spec.type, endpoint=True)


def _floats(
    generator: np.random.Generator, shape: tuple[int, ...], dtype: "np.dtype[np.floating]", limits: tuple[float, float]
) -> FloatArray:
    """Uniform numbers in [low, high), also where rounding would reach the upper end."""
    low, high = limits
    with np.errstate(over="ignore"):
        width, ends = np.float64(high) - low, np.array([low, high]).astype(dtype)
    if not np.isfinite([width, *ends]).all() or not ends[0] < ends[1]:
        raise InvalidInput(f"{dtype} cannot hold a range from {low} to {high}")
    numbers = (low + width * generator.random(shape)).astype(dtype)
    below: FloatArray = np.nextafter(ends[1], ends[0])
    clipped: FloatArray = np.clip(numbers, ends[0], below)
    return clipped
