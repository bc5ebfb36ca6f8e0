"""What an attack works on: a classifier, and rows with their true classes."""

from dataclasses import dataclass, field, replace

import numpy as np

from robust.attacks.apgd_losses import aimed_cotangent
from robust.attacks.finite import finite
from robust.attacks.losses import (
    Loss,
    Scale,
    cross_entropy_cotangent,
    even_cotangent,
    half_margin_cotangent,
    log_margin_cotangent,
    log_margins,
    margin_cotangent,
    margins,
    saturated,
)
from robust.attacks.repeated import Askings
from robust.data.dataset import Dataset
from robust.data.inside import require_inside
from robust.errors import InvalidInput
from robust.measures.magnitude import require_moderate
from robust.models.base import Model
from robust.predicting.answered import predict_answered
from robust.predicting.calling import Caller, bind
from robust.predicting.predictions import Kind, Predictions, class_indices, interpret, predict
from robust.predicting.row_faults import NotRepeatable, RowFault
from robust.types import AnyArray, BoolArray, FloatArray, IntArray

_PROBE = 32
# Stands for a slope that is infinite, as of a square root at 0; its square is a number.
_STEEPEST = 1e100
# What is asked for instead of a gradient of zero, and its two halves, one of which may well have none.
_OF_MARGINS = ("margin", "log_margin", "own_score", "best_other")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Target:
    """A bound classifier, and the rows that are to be broken; rows are flat here, (m, d).

    Args:
        caller: The classifier, bound to the data's schema.
        data: The rows.
        y: Their true classes, as indices (n,).
        kind: What the outputs are.
        classes: Number of classes.
        labels: For outputs that are labels themselves, the label of each class; else empty.
        patient: Rows never count as broken: somebody else judges, and wants the largest loss.
        askings: How often each row is asked: a model whose answers are random is judged by the mean of several.
    """

    caller: Caller
    data: Dataset
    y: IntArray
    kind: Kind
    classes: int
    labels: AnyArray
    patient: bool = False
    askings: Askings = field(default_factory=Askings)

    def __len__(self) -> int:
        return len(self.y)

    @property
    def x(self) -> AnyArray:
        """The rows, flat (n, d)."""
        return self.data.schema.flat(self.data.x)

    @property
    def batch(self) -> int:
        """Rows that fill a call of the model."""
        return self.caller.model.fixed_batch or self.caller.model.batch_size

    @property
    def scale(self) -> Scale:
        """What the scores are, for a loss."""
        return "probabilities" if self.kind == "probabilities" else "logits"

    def part(self, keep: IntArray | BoolArray) -> "Target":
        """The same classifier and some of the rows."""
        return replace(self, data=self.data.rows(keep), y=self.y[keep])

    def scores(self, x: AnyArray, *, keep: bool = False) -> FloatArray:
        """A score for each class (m, k), one forward pass; the largest is the decision.

        Args:
            x: Points (m, d).
            keep: Whether to check that the answer repeats, and to keep it by content hash.

        Returns:
            The scores; NaN in rows that the model does not answer. Of a model whose answers do not repeat, the mean of
            several.
        """
        if self.askings.times == 1:
            try:
                return self.once(x, keep=keep)
            except NotRepeatable:
                self.askings.random()
        return np.asarray(np.mean([self.once(x) for _ in range(self.askings.times)], axis=0))

    def once(self, x: AnyArray, *, keep: bool = False) -> FloatArray:
        """The scores (m, k) of a single answer."""
        return self._scores(self.caller.outputs(self._shaped(x), keep=keep))

    def wrong(self, scores: FloatArray, rows: IntArray | slice) -> BoolArray:
        """Which of some rows are broken, given their scores (m,); those without an answer are."""
        if self.patient:
            return np.zeros(len(scores), dtype=bool)
        return np.asarray((scores.argmax(axis=1) != self.y[rows]) | unanswered(scores))

    def margins(self, scores: FloatArray, rows: IntArray | slice) -> FloatArray:
        """How close some rows are to a mistake (m,); above 0 they are wrong."""
        return margins(scores, self.y[rows])

    def distances(self, scores: FloatArray, rows: IntArray | slice) -> FloatArray:
        """How far some rows are from a mistake, in logits (m,); NaN where rounding has lost it."""
        own = self.y[rows]
        return np.where(saturated(scores, own, scale=self.scale), np.nan, -log_margins(scores, own, scale=self.scale))

    def gradient(
        self, x: AnyArray, rows: IntArray | slice, *, loss: Loss = "cross_entropy", aims: IntArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Scores and the direction in which the loss of some rows rises.

        Rows for which the gradient of a loss that is no margin is exactly zero are asked again for the margin loss.

        Args:
            x: Points (m, d), in the data's number type.
            rows: Which rows of the target they belong to.
            loss: Which loss.
            aims: For the targeted loss, the class that each point is to become (m,).

        Returns:
            Scores (m, k) and gradients (m, d), finite; zero where both losses have none. Of a model whose answers do
            not repeat, the means of several.
        """
        found = [self._ascent(x, self.y[rows], loss, aims) for _ in range(self.askings.times)]
        if len(found) == 1:
            return found[0]
        scores, gradient = (np.mean(parts, axis=0) for parts in zip(*found, strict=True))
        return scores, gradient

    def _ascent(self, x: AnyArray, y: IntArray, loss: Loss, aims: IntArray | None) -> tuple[FloatArray, FloatArray]:
        """Scores and direction of a single answer."""
        outputs, gradient = self._gradient(x, y, loss, aims)
        scores = self._scores(outputs)
        if loss not in _OF_MARGINS:
            flat = np.flatnonzero(~(gradient.any(axis=1) | unanswered(scores)))
            if len(flat):
                gradient[flat] = self._gradient(x[flat], y[flat], "margin")[1]
        return scores, gradient

    def _gradient(
        self, x: AnyArray, y: IntArray, loss: Loss, aims: IntArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Outputs and the gradient of one loss."""

        def cotangent(outputs: FloatArray, block: slice) -> FloatArray:
            scores = self._scores(outputs)
            if loss == "margin":
                flow = margin_cotangent(scores, y[block])
            elif loss == "log_margin":
                flow = log_margin_cotangent(scores, y[block], scale=self.scale)
            elif loss in ("own_score", "best_other"):
                flow = half_margin_cotangent(loss, scores, y[block], scale=self.scale)
            elif loss in ("dlr", "targeted"):
                goals = None if aims is None else aims[block]
                flow = aimed_cotangent(loss, scores, y[block], scale=self.scale, aims=goals)
            elif loss == "even_cross_entropy":
                flow = even_cotangent(scores, y[block], scale=self.scale)
            else:
                flow = cross_entropy_cotangent(scores, y[block], scale=self.scale)
            if outputs.shape[1] > 1:
                return flow
            # One output stands for two: (1 − p, p), or the logits (0, z).
            return flow[:, 1:] - flow[:, :1] if self.kind == "probabilities" else flow[:, 1:]

        outputs, gradient = self.caller.gradient(self._shaped(x), cotangent)
        # A derivative that is not a number points nowhere; one that overflowed still has its sign.
        flat = gradient.reshape(len(x), -1)
        return outputs, finite(flat, largest=_STEEPEST)

    def _shaped(self, x: AnyArray) -> AnyArray:
        return x.reshape(len(x), *self.data.schema.shape)

    def _scores(self, outputs: FloatArray) -> FloatArray:
        """Outputs with a column for each class; a label that is no class gets a column of its own, the last."""
        if self.kind == "labels":
            known = outputs == self.labels
            return np.hstack([known, ~known.any(axis=1, keepdims=True)]).astype(np.float64)
        if outputs.shape[1] > 1:
            return outputs
        return np.hstack([1.0 - outputs if self.kind == "probabilities" else np.zeros_like(outputs), outputs])


def unanswered(scores: FloatArray) -> BoolArray:
    """Which rows the model gave no answer for (m,)."""
    return np.asarray(np.isnan(scores).any(axis=1))


def aim(model: Model, data: Dataset, *, predictions: Predictions | None = None) -> Target:
    """Bind a classifier and the rows that it is to be attacked on.

    Args:
        model: The classifier.
        data: Rows with targets.
        predictions: Its predictions of the rows, or of those that it answers, where they have been made; else a few
            rows are asked, to settle what the outputs mean.

    Returns:
        The target.

    Raises:
        InvalidInput: If the model is no classifier, or the data has no targets, labels that the model does
            not know, values outside the declared bounds, or so large that their squares overflow.
    """
    y = data.targets
    require_inside(data)
    require_moderate(data.x, f"features of {data.name}", smallest=0.0)
    caller = bind(model, data.schema)
    if predictions is None:
        try:
            predictions = interpret(model, caller.outputs(data.x[:_PROBE], keep=True), y[:_PROBE])
        except (NotRepeatable, RowFault):
            predictions = classified(model, data)
        if predictions.kind == "labels":
            predictions = classified(model, data)  # which labels there are, all rows tell
    require_classifier(predictions)
    labels: AnyArray = np.empty(0)
    if predictions.kind == "labels":
        named = any(isinstance(label, str) for label in predictions.classes)
        labels = np.arange(len(predictions.classes)) if named else np.array(predictions.classes)
    return Target(
        caller=replace(caller, lenient=True),
        data=data,
        y=class_indices(y, predictions),
        kind=predictions.kind,
        classes=len(predictions.classes),
        labels=labels,
        askings=Askings() if predictions.repeatable else Askings.of_random(),
    )


def classified(model: Model, data: Dataset) -> Predictions:
    """Predictions of a classifier that is to be attacked, of the rows that it answers.

    Rows on which it raises, or gives no finite numbers, are left out, and answers that do not repeat are taken as they
    come: an attack counts the first as wrong, and says of the others that no pass can be believed.

    Args:
        model: The classifier.
        data: Rows with targets.

    Raises:
        ModelFault: If it breaks its contract otherwise, or answers no row.
        InvalidInput: If data lies outside its bounds, before anything is asked; if it is no classifier, or by
            `predict`.
    """
    require_inside(data)
    return require_classifier(predict_answered(model, data, ask=_repeated)[0])


def _repeated(model: Model, data: Dataset) -> Predictions:
    """Predictions, repeatable or not."""
    try:
        return predict(model, data)
    except NotRepeatable:
        outputs = bind(model, data.schema).outputs(data.x)
        return replace(interpret(model, outputs, data.y), repeatable=False)


def require_classifier(predictions: Predictions) -> Predictions:
    """The same predictions, if they are decisions.

    Raises:
        InvalidInput: If the model is no classifier.
    """
    if predictions.task != "classification":
        raise InvalidInput(
            f"robust accuracy needs a classifier, {predictions.model} is a {predictions.task} model: "
            "largest_output_change(model, data, eps=…) asks how far an attack moves its numbers, "
            "flip_rate(model, data, sweep=…, tolerance=…) how far a change of one feature does"
        )
    return predictions
