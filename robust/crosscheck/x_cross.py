"""The X-cross comparison of two models: the same samples through both, output by output."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from robust.check import Check, Subject
from robust.crosscheck.agreement_result import Agreement, Tensors
from robust.crosscheck.feeding import answered, check_codes, fed
from robust.crosscheck.ground_truth import said_classifier, truth_of_outputs
from robust.crosscheck.identities import compared_with_itself, identity_of
from robust.crosscheck.opening import opened
from robust.crosscheck.output_rows import compare_output
from robust.crosscheck.output_tensor import Tensor
from robust.crosscheck.plain_text import one_line
from robust.crosscheck.samples import Samples, gather_samples
from robust.crosscheck.tensor_order import Position, check_position, matched, opposite
from robust.errors import InvalidInput
from robust.evidence import Provenance
from robust.intervals.arguments import check_level, check_whole
from robust.measurement import Measurement
from robust.models.base import Model
from robust.models.runner import as_runner
from robust.models.runner_base import Runner
from robust.predicting.company import outputs_of_rows
from robust.predicting.metering import metered
from robust.tensors.channels import transpose
from robust.tensors.spec import TensorSpec
from robust.tensors.validation_data import describe
from robust.types import AnyArray

_A = TypeVar("_A")
_B = TypeVar("_B")


def agreement(
    reference: Any,
    candidate: Any,
    data: Any = None,
    *,
    outputs: Any = None,
    rows: int = 10,
    value_range: tuple[float, float] | None = None,
    classifier: bool | None = None,
    inputs_ch_position: str | None = None,
    outputs_ch_position: str | None = None,
    level: float = 0.95,
    seed: int = 42,
) -> Agreement:
    """How far two models agree on the same samples: the X-cross table, one set of lines an output.

    l2r = ‖r − p‖ / (‖p‖ + ε), rmse = √mean((r − p)²), mae = mean|r − p|, mean and std of r − p,
    nse = 1 − mse/(std(r)² + ε), cos = ⟨r, p⟩/(‖r‖‖p‖), acc = share of rows with the same largest column; r the
    reference's values and p the candidate's, all numbers of an output alike, ε = 2⁻²³

    Everything is computed in float64, after integers were dequantized by the scale and zero point of their own tensor.
    Floating samples are quantized for a model with integer inputs. Tensors of the two models belong together by name
    where all names are shared, else in order.

    Args:
        reference: The model compared with, e.g. the float build; anything `as_runner` takes, with any number of inputs
            and outputs. None leaves it out: the candidate is compared with the ground truth, if any.
        candidate: The model under test, e.g. the int8 build.
        data: Samples: None draws random ones; a path or several of validation files (`.npz`, `.npy`, `.csv`, `.pb`);
            a list of arrays, one an input; `ValidationData`; or anything else that `as_data` takes, whose targets are
            the ground truth of a single output.
        outputs: Ground truth: an array, a list of arrays, one an output, or paths where `data` are paths; of the
            output's shape, one-hot, or class labels 0 … k − 1, in the order of the reference's outputs where there is
            one; None in the list for an output without. Integers of 8 or 16 bits are dequantized as those of the tensor
            of their type. An empty list says that targets of `data` are none.
        rows: Random samples to draw.
        value_range: Range to draw from, default [0, 1); integer inputs take the whole range of their type.
        classifier: Whether outputs are scores of classes, so that acc and the confusion matrix are computed. None:
            where a model of one output says so, the reference's values may be probabilities, or the ground truth is
            one-hot or labels.
        inputs_ch_position: Where the candidate's inputs have their channels, if elsewhere than the reference's; samples
            are given as the candidate takes them. `channels_first` or `channels_last`.
        outputs_ch_position: The same for its outputs, and the ground truth.
        level: Confidence of each bound, in (0.5, 1).
        seed: Seed of random samples and of the bootstrap.

    Returns:
        The agreement: `.table()`, `.report()`, `.rows`, `.close`, and the Measurements `.l2r`, `.rmse` (lower is
        better), `.acc`, `.cos` (higher is better) of the worst output. Bounds: Clopper-Pearson for acc, BCa (Efron
        1987) for the others as functions of row means, blocks or clusters where rows have an order or groups, and never
        narrower than what the rows that differ by more than rounding can prove. The figures of the table are about the
        samples at hand alone.

    Raises:
        InvalidInput: If the models do not fit each other or the samples, or a number is not finite.
        ModelFault: If a model breaks its contract.

    >>> x = np.linspace(0, 1, 40).reshape(20, 2)
    >>> same = agreement(lambda x: x, lambda x: x + 0.5, x)
    >>> same.rmse.value, same.rows[0].metrics.mean, same.close
    (0.5, -0.5, False)
    """
    level, seed = check_level(level), check_whole("seed", seed, least=0)
    if classifier is not None and not isinstance(classifier, bool):
        raise InvalidInput(f"classifier must be True, False or None, got {classifier!r}")
    into = check_position("inputs_ch_position", inputs_ch_position)
    out = check_position("outputs_ch_position", outputs_ch_position)
    first, second = None if reference is None else opened(reference), opened(candidate)
    old, new = None if first is None else as_runner(first), as_runner(second)
    with metered() as meter:
        samples = gather_samples(
            data,
            outputs,
            old or new,
            new,
            rows=rows,
            value_range=value_range,
            seed=seed,
            position=into if old is not None else None,
        )
        before = None if old is None else _ask(old, first, samples, inputs=into, outputs=out)
        after = _ask(new, second, samples)
        order, order_notes = _order(before, after)
        said = said_classifier(classifier, (first, second), outputs=len(after.outputs))
        # Samples, inputs and ground truth alike, are in the order of the reference where there is one.
        named = after if before is None or samples.of_candidate else before
        truth = truth_of_outputs(samples, [tensor.raw[0].size for tensor in named.outputs], (first, second))
        if order_notes and samples.truth is not None and named is before:
            order_notes.append("the ground truth is in the order of the reference's outputs")
        compared = tuple(
            compare_output(
                k + 1,
                None if before is None else before.outputs[order[k]],
                tensor,
                truth[k if named is after else order[k]],
                classifier=said,
                alone=len(after.outputs) == 1,
                origin=samples.origin,
            )
            for k, tensor in enumerate(after.outputs)
        )
    alike = all(np.array_equal(output.reference, output.candidate) for output in compared)
    options = {"classifier": classifier, "rows": len(samples), "value_range": value_range}
    pairs = ((new, candidate), (old, reference))
    return Agreement(
        outputs=compared,
        tensors=Tensors(
            m_inputs=None if before is None else before.inputs,
            m_outputs=None if before is None else tuple(tensor.raw for tensor in before.outputs),
            c_inputs=after.inputs,
            c_outputs=tuple(tensor.raw for tensor in after.outputs),
        ),
        header=(
            f"Reference: {one_line(old.name)} ({old.framework})" if old is not None else "Reference: not run",
            f"Candidate: {one_line(new.name)} ({new.framework})",
            f"Samples:   {len(samples)}, {one_line(samples.name)}",
        ),
        log=_log(
            samples,
            before,
            after,
            _each(truth, named.outputs),
            [*order_notes, *(finding.text for finding in meter.findings())],
        ),
        findings=meter.findings(),
        level=level,
        seed=seed,
        random=samples.random,
        itself=None if old is None else compared_with_itself(reference, candidate, alike=alike),
        data=samples.data,
        provenance=Provenance(
            models=tuple((model.name, identity_of(given)) for model, given in pairs if model is not None),
            data=((samples.name, samples.fingerprint),),
            seed=seed,
            options=tuple((key, repr(value)) for key, value in sorted(options.items())),
            cost=meter.cost(),
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Asked:
    """A model's inputs, its outputs, and what was converted."""

    inputs: tuple[AnyArray, ...]
    outputs: tuple[Tensor, ...]
    notes: tuple[str, ...]


def _ask(
    runner: Runner,
    given: Model | Runner | None,
    samples: Samples,
    *,
    inputs: Position | None = None,
    outputs: Position | None = None,
) -> _Asked:
    """Feed the samples and keep everything, with the channels where the samples have theirs."""
    if isinstance(given, Model) and runner.inputs is None and samples.data is not None and inputs is outputs is None:
        # As measures ask it: columns by name, text labels instead of codes, answers that repeat, kept ones used again.
        check_codes(runner, samples.specs)
        values = outputs_of_rows(given, samples.data)
        spec = TensorSpec(name="output", shape=values.shape[1:], dtype=str(values.dtype))
        return _Asked(inputs=samples.inputs, outputs=(Tensor(raw=values, spec=spec),), notes=())
    arrays, notes = fed(runner, samples.inputs, samples.specs, channels=opposite(inputs))
    raw, specs = answered(runner, arrays, channels=outputs)
    return _Asked(
        inputs=arrays if inputs is None else tuple(transpose(array, inputs) for array in arrays),
        outputs=tuple(Tensor(raw=array, spec=spec) for array, spec in zip(raw, specs, strict=True)),
        notes=notes,
    )


def _order(before: _Asked | None, after: _Asked) -> tuple[list[int], list[str]]:
    """Which of the reference's outputs each of the candidate's is."""
    specs = [tensor.spec for tensor in after.outputs]
    have = specs if before is None else [tensor.spec for tensor in before.outputs]
    return matched(have, specs, what="outputs")


def _log(
    samples: Samples,
    before: _Asked | None,
    after: _Asked,
    truth: Sequence[tuple[AnyArray | None, Tensor]],
    notes: Sequence[str],
) -> tuple[str, ...]:
    """How the samples were made, what was converted for whom, and what all tensors are."""
    lines = list(samples.notes)
    lines += [f"I[{i}]: {describe(a, spec)}" for i, (a, spec) in enumerate(_each(samples.inputs, samples.specs), 1)]
    for k, (array, output) in enumerate(truth, 1):
        if array is None:
            continue
        spec = TensorSpec(name=output.spec.name, shape=array.shape[1:], dtype=str(array.dtype))
        lines.append(f"O[{k}]: {describe(array, spec)}")
        if array.shape != output.raw.shape and array.size == output.raw.size:
            lines.append(f"O[{k}]: samples are reshaped: {array.shape} -> {output.raw.shape}")
    for role, letter, asked in (("reference", "m", before), ("candidate", "c", after)):
        if asked is not None:
            lines += [f"{role}: {note}" for note in asked.notes]
            lines += [f"{letter}_outputs_{k}: {describe(t.raw, t.spec)}" for k, t in enumerate(asked.outputs, 1)]
    return tuple(one_line(line) for line in (*lines, *notes))


def _each(one: Sequence[_A], other: Sequence[_B]) -> list[tuple[_A, _B]]:
    return list(zip(one, other, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementOptions:
    """What a gate on `agreement` may set.

    Args:
        figure: Which figure of the worst output.
        classifier: Whether outputs are scores of classes; None where models or values tell.
    """

    figure: Literal["l2r", "rmse", "cos", "acc"] = "l2r"
    classifier: bool | None = None


def _run(subject: Subject, options: AgreementOptions) -> Measurement:
    # Targets are for other checks: this one asks whether two models say the same, right or wrong.
    found = agreement(
        subject.reference,
        subject.model,
        subject.test,
        outputs=[],
        classifier=options.classifier,
        level=subject.level,
        seed=subject.seed,
    )
    measured: Measurement = getattr(found, options.figure)
    return measured


CHECKS = (
    Check(
        code="QNT002",
        name="agreement",
        title="X-cross against the reference",
        measure=agreement,
        run=_run,
        options=AgreementOptions,
        needs=frozenset({"reference"}),
        why="Two builds of one network should give the same numbers on the same samples; how far they are apart shows "
        "long before a decision flips, and needs no labels.",
        remedy="Look at the samples that differ most and at the error's mean: a constant offset points at a scale, "
        "zero point or preprocessing, a few far values at saturation or an operator that is computed otherwise.",
    ),
)
