"""Hands the same samples to two models, each in the types and shapes of its own inputs."""

from collections.abc import Sequence

import numpy as np

from robust.crosscheck.tensor_order import Position, check_layout, matched
from robust.errors import InvalidInput, ModelFault
from robust.models.runner_base import Runner
from robust.predicting.metering import count_rows, remark
from robust.tensors.channels import transpose
from robust.tensors.fitting import fit_shape, fit_type
from robust.tensors.quantizing import dequantize
from robust.tensors.spec import TensorSpec
from robust.types import AnyArray


def fed(
    runner: Runner,
    arrays: Sequence[AnyArray],
    specs: Sequence[TensorSpec],
    *,
    channels: Position | None = None,
) -> tuple[tuple[AnyArray, ...], tuple[str, ...]]:
    """Samples as a model takes them.

    Floating samples are quantized by an integer input's own scale and zero point; integers with a known scale and zero
    point are dequantized where the model wants others. What would be a guess is refused.

    Args:
        runner: The model.
        arrays: Samples, one array an input, (n, …).
        specs: What the arrays are.
        channels: Where the channels have to be moved for this model; None where they lie right.

    Returns:
        Arrays in the order of the model's inputs, and notes on what was converted.

    Raises:
        InvalidInput: If the samples do not fit, by the name of the input.
    """
    if runner.inputs is None:
        check_codes(runner, specs)
        return tuple(_turned(array, channels) for array in arrays), ()
    places, notes = matched(specs, runner.inputs, what="inputs")
    ready = []
    for place, want in zip(places, runner.inputs, strict=True):
        have, array = specs[place], _turned(np.asarray(arrays[place]), channels)
        check_layout(
            array.shape[1:], want.shape, what=f"{runner.name}: input {want.name!r}", option="inputs_ch_position"
        )
        turned = have.quantization is not None and have.quantization != want.quantization
        if have.quantization is not None and turned:
            q = have.quantization
            array = dequantize(array, q)
            notes.append(f"input {want.name!r}: {have.dtype} data are dequantized with {q.words}")
        try:
            shaped, reshaped = fit_shape(array, want, part="input")
            typed, converted = fit_type(shaped, want, part="input", real=turned)
        except InvalidInput as error:
            raise InvalidInput(f"{runner.name}: {error}") from error
        ready.append(typed)
        notes += [note for note in (reshaped, converted) if note]
    return tuple(ready), tuple(notes)


def check_codes(runner: Runner, specs: Sequence[TensorSpec]) -> None:
    """Keep samples that are codes of one model from another that would take them for numbers.

    Args:
        runner: A model that does not say what its inputs are.
        specs: What the samples are; those of integers have the scale of the other model.

    Raises:
        InvalidInput: If it is a module of torch or an estimator of scikit-learn. A function may read codes itself:
            every open meter is told.
    """
    for spec in specs:
        q = spec.quantization
        if q is None or (q.scale == 1.0 and q.zero_point == 0):
            continue
        found = f"the samples of {spec.name!r} are {spec.dtype}: codes of the other model ({q.words})"
        if runner.framework != "callable":
            raise InvalidInput(
                f"{found}, whereas {runner.name} ({runner.framework}) takes real numbers, for which they are other "
                "ones; give floating samples, they are quantized for whoever takes integers"
            )
        remark(f"{found}; {runner.name} reads them as they are, which is right if it knows what they stand for")


def answered(
    runner: Runner, arrays: Sequence[AnyArray], *, channels: Position | None = None
) -> tuple[tuple[AnyArray, ...], tuple[TensorSpec, ...]]:
    """All outputs of a model, asked once.

    Args:
        runner: The model.
        arrays: Its inputs.
        channels: Where the channels of its outputs are wanted; None where they lie right.

    Returns:
        Raw outputs with their channels where they are wanted, and what they are.

    Raises:
        ModelFault: If it breaks its contract.
    """
    rows = len(arrays[0])
    count_rows(forward=rows)
    found, specs = runner.run(arrays)
    short = [spec.name for array, spec in zip(found, specs, strict=True) if len(array) != rows]
    if short:
        raise ModelFault(f"{runner.name}: outputs {short} have not one row for each of {rows} samples")
    turned = tuple(_turned(array, channels) for array in found)
    return turned, tuple(
        TensorSpec(name=spec.name, shape=array.shape[1:], dtype=spec.dtype, quantization=spec.quantization)
        for array, spec in zip(turned, specs, strict=True)
    )


def _turned(array: AnyArray, channels: Position | None) -> AnyArray:
    return array if channels is None else transpose(array, channels)
