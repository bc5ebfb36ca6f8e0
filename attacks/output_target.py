"""What an attack works on where the model is a regression: one output, and how far it can be pushed one way.

The engine knows classifiers with two classes. A regression becomes one: the first class stands for "as far as is asked
for", the second for the output itself, so that the margin of a row is how far its output is beyond what is asked for.
"""

from dataclasses import dataclass, replace

import numpy as np

from robust.attacks.finite import finite
from robust.attacks.losses import Loss
from robust.attacks.target import Target
from robust.data.dataset import Dataset
from robust.data.inside import require_inside
from robust.errors import InvalidInput
from robust.limits import is_number
from robust.measures.each_output import output_name
from robust.measures.magnitude import require_moderate
from robust.models.base import Model
from robust.predicting.answered import predict_answered
from robust.predicting.calling import bind
from robust.types import AnyArray, BoolArray, FloatArray, IntArray

#: Outputs that are looked at by themselves when none is named.
MOST_OUTPUTS = 16
# Of an output: saturated ones have gradients such as 1e-38, by which no step can be measured.
_NO_SLOPE = 1e-20
# Of the change that is asked for.
_NO_STEP = 1e-12
# Stands for an answer that is none: farther than any output, and its square is a number.
_BEYOND = 1e100


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutputTarget(Target):
    """One output of a regression, and the rows from which it is pushed up, or down.

    margin_i = s·(f(x') − f(x_i)) − by, s = ±1; a row is broken where that is at least 0, a patient one never is. A
    point that the model gives no answer for has moved without bound, either way.

    Args:
        base: Output of each row as it is (n,).
        output: Which output.
        sign: 1 pushes it up, −1 down.
        by: How far it has to move; 0 for a patient target, whose margin is then the change itself.
    """

    base: FloatArray
    output: int
    sign: float
    by: float = 0.0

    def part(self, keep: IntArray | BoolArray) -> "OutputTarget":
        """The same output and some of the rows."""
        return replace(self, data=self.data.rows(keep), y=self.y[keep], base=self.base[keep])

    def scores(self, x: AnyArray, *, keep: bool = False) -> FloatArray:
        """0 and s·f (m, 2), one forward pass; what stands for infinity where there is no answer."""
        value = _steered(self._asked(x, keep=keep))
        return np.column_stack([np.zeros(len(value)), value])

    def wrong(self, scores: FloatArray, rows: IntArray | slice) -> BoolArray:
        """Which of some rows have moved as far as is asked for (m,)."""
        if self.patient:
            return np.zeros(len(scores), dtype=bool)
        return self.margins(scores, rows) >= 0.0

    def margins(self, scores: FloatArray, rows: IntArray | slice) -> FloatArray:
        """How far beyond what is asked for some rows are (m,), whatever the first column says."""
        return np.asarray(scores[:, 1] - self.sign * self.base[rows] - self.by)

    def gradient(
        self,
        x: AnyArray,
        rows: IntArray | slice,
        *,
        loss: Loss = "cross_entropy",  # noqa: ARG002 - of two classes all losses rise the same way
        aims: IntArray | None = None,  # noqa: ARG002
    ) -> tuple[FloatArray, FloatArray]:
        """Scores, the first column what is asked for, and s·∇f (m, d), finite; whichever loss is named."""

        def cotangent(outputs: FloatArray, block: slice) -> FloatArray:  # noqa: ARG001
            flow = np.zeros(outputs.shape)
            flow[:, self.output] = self.sign
            return flow

        outputs, gradient = self.caller.gradient(self._shaped(x), cotangent)
        value = _steered(self.sign * outputs[:, self.output])
        slope = finite(gradient.reshape(len(x), -1))
        # What moves the output by less than anybody could see, over the size of the features, is no slope.
        sizes = np.maximum(np.abs(np.nan_to_num(x.astype(np.float64))), 1.0)
        least = np.maximum(_NO_SLOPE * np.abs(value), _NO_STEP * self.by)
        slope[(np.abs(slope) * sizes).max(axis=1, initial=0.0) < least] = 0.0
        return self.compared(value, rows), slope

    def compared(self, value: FloatArray, rows: IntArray | slice) -> FloatArray:
        """Scores of some rows from s·f (m,): what is asked for, and the value (m, 2)."""
        return np.column_stack([self.sign * self.base[rows] + self.by, value])

    def changes(self, x: AnyArray) -> FloatArray:
        """How far the output of each row has moved the way that is asked for (n,), the model asked afresh.

        Infinitely far where it gives no answer.
        """
        moved = self._asked(x) - self.sign * self.base
        return np.where(np.isnan(moved), np.inf, moved)

    def _asked(self, x: AnyArray, *, keep: bool = False) -> FloatArray:
        """s·f (m,), NaN where there is no answer."""
        return np.asarray(self.sign * self.caller.outputs(self._shaped(x), keep=keep)[:, self.output])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Regression:
    """A regression model and its rows, before anything is pushed.

    Args:
        model: The model.
        data: The rows that it answers (n).
        values: Its outputs (n, k).
        outputs: Positions of those that are asked about.
        answered: Which of all rows these are (N,).
    """

    model: Model
    data: Dataset
    values: FloatArray
    outputs: tuple[int, ...]
    answered: BoolArray

    def over_all(self, values: FloatArray, *, silent: float) -> FloatArray:
        """A value for each of all rows (N,), from those of rows with an answer (n,)."""
        filled = np.full(len(self.answered), silent)
        filled[self.answered] = values
        return filled

    def target(self, output: int, sign: float, *, by: float = 0.0) -> OutputTarget:
        """One output, pushed one way: by an amount, or as far as it goes."""
        caller = replace(bind(self.model, self.data.schema), lenient=True)
        if caller.identity is not None:
            caller = replace(caller, identity=f"{caller.identity}/output {output} times {sign:g} by {by!r}")
        return OutputTarget(
            caller=caller,
            data=self.data,
            y=np.zeros(len(self.data), dtype=np.int64),
            kind="values",
            classes=2,
            labels=np.empty(0),
            patient=by == 0.0,
            base=np.ascontiguousarray(self.values[:, output]),
            output=output,
            sign=sign,
            by=by,
        )


def aim_outputs(model: Model, data: Dataset, *, output: int | str | None) -> Regression:
    """Ask a regression model about its rows, and settle which of its outputs is meant.

    Rows on which it raises, or gives no finite numbers, are left out.

    Args:
        model: The model.
        data: Rows; targets are not needed.
        output: Position from 0, or its name in a report such as `output 2 of 3`; None for all of them.

    Returns:
        Model, rows and outputs.

    Raises:
        InvalidInput: If the model is no regression, there is no such output or there are too many to look at each, or
            data lies outside its bounds or is so large that squares overflow.
    """
    require_inside(data)
    require_moderate(data.x, f"features of {data.name}", smallest=0.0)
    predictions, answered = predict_answered(model, data)
    if predictions.task != "regression":
        raise InvalidInput(
            f"how far an output moves is asked of regression models, {predictions.model} is a {predictions.task} "
            "model: robust_accuracy(model, data, eps=…) asks which of its decisions change "
            '(task="regression" if it is one)'
        )
    values = predictions.values
    require_moderate(values, f"predictions of {predictions.model}", smallest=0.0)
    outputs, kept = _positions(output, values.shape[1], model.name), data if answered.all() else data.rows(answered)
    return Regression(model=model, data=kept, values=values, outputs=outputs, answered=answered)


def _steered(values: FloatArray) -> FloatArray:
    """Values that a search can compare and subtract."""
    return np.where(np.isnan(values), _BEYOND, values)


def _positions(output: int | str | None, k: int, name: str) -> tuple[int, ...]:
    """Which outputs are meant."""
    names = [output_name(j, k) for j in range(k)]
    if output is None:
        if k > MOST_OUTPUTS:
            raise InvalidInput(
                f"{name} has {k} outputs, each of which would be attacked by itself; output=0 … {k - 1} names one "
                f"(up to {MOST_OUTPUTS} are looked at together)"
            )
        return tuple(range(k))
    if isinstance(output, str) and output in names:
        return (names.index(output),)
    if is_number(output) and not isinstance(output, float) and 0 <= int(output) < k:
        return (int(output),)
    raise InvalidInput(f"output got {output!r}; one of 0 … {k - 1}, or of {', '.join(map(repr, names[:3]))}, is right")


def signs_of(direction: object) -> tuple[float, ...]:
    """The ways in which an output is pushed.

    Raises:
        InvalidInput: If the direction is no known word.

    >>> signs_of("both")
    (1.0, -1.0)
    """
    ways = {"both": (1.0, -1.0), "up": (1.0,), "down": (-1.0,)}
    for word, signs in ways.items():
        if direction == word:
            return signs
    raise InvalidInput(f"direction got {direction!r}; 'both', 'up' or 'down' would be right")
