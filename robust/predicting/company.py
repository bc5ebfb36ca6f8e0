"""Whether a row's answer depends on the rows that share its batch: a few rows are asked again among others."""

from dataclasses import dataclass

import numpy as np

from robust.data.dataset import Dataset
from robust.errors import InvalidInput, ModelFault
from robust.models.base import Model
from robust.models.foreign_errors import brief
from robust.predicting.calling import Caller, bind
from robust.predicting.meaning import Kind
from robust.predicting.metering import remark
from robust.predicting.row_faults import REPEATABLE
from robust.predicting.settings import current_settings
from robust.randomness import row_words
from robust.types import AnyArray, BoolArray, FloatArray, IntArray, Task

#: Rows that are asked again at most; one of them once more, alone.
SAMPLED_ROWS = 32
#: Share of the sampled rows above which a model is refused; a single row never is enough.
_FEW = 0.05
#: Differences up to this share of the outputs' spread are rounding.
_ROUNDING = 1e-3
#: Differences above this share of its spread change a value of a regression model.
_CHANGE = 0.05
#: Rows whose ids are looked at: of more, so many are taken, evenly spaced.
_LOOKED_AT = 4096
#: Separates the draw of the rows from other uses of the generator.
_STREAM = 0x636F6D70


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What asking again has shown.

    Args:
        rows: Sampled rows.
        size: Rows a call.
        alone: Whether the row that was also asked alone changed; None where none was, or all were.
        changed: Rows that changed their decision, or their value by more than a twentieth of its spread.
        ties: Rows whose decision changed by no more than the rounding of their outputs.
        material: Rows whose outputs differ by more than rounding.
        largest: Largest difference of an output.
        spread: Spread of the outputs that it belongs to.
    """

    rows: int
    size: int
    alone: bool | None
    changed: int
    ties: int
    material: int
    largest: float
    spread: float


def other_batch(model: Model, rows: int) -> int:
    """Rows a call that differ from the model's own, and never exceed them; 1 for a model of single rows.

    Args:
        model: Declares how many rows it is given at a time.
        rows: How many are to be asked.

    >>> other_batch(Model(name="m", framework="callable", forward=len), 32)
    32
    >>> other_batch(Model(name="m", framework="callable", forward=len, batch_size=8), 32)
    4
    """
    own = model.fixed_batch or model.batch_size
    return rows if rows < own else max(1, own // 2)


def outputs_of_rows(model: Model, data: Dataset) -> FloatArray:
    """Outputs as plain numbers, for what does not ask for their meaning; remarks if few depend on the rows beside them.

    Args:
        model: The model.
        data: The rows.

    Returns:
        Outputs (n, k).

    Raises:
        ModelFault: If the model breaks its contract, or more than few answers depend on the rows beside them.
    """
    caller = bind(model, data.schema)
    outputs = caller.outputs(data.x, keep=True)
    note = company_note(caller, data, outputs, task="regression", kind="values")
    if note is not None:
        remark(f"answers of {model.name} on {data.name} {note}")
    return outputs


def company_note(caller: Caller, data: Dataset, outputs: FloatArray, *, task: Task, kind: Kind) -> str | None:
    """Ask a few rows again, in other company, and compare with what they were answered among all.

    Of at most 64 rows, drawn by id, those are asked whose outputs are lowest: rows that resemble each other move every
    statistic of a batch. They come in calls of another size, and one of them alone. A model that is declared to take
    one row at a time keeps to it, in another order. What was seen is kept with the outputs, by content.

    Args:
        caller: The model, bound to the schema of the data.
        data: The rows.
        outputs: What the model gave for them, (n, k).
        task: What it does.
        kind: What the outputs are.

    Returns:
        What a reader must know of the answers, a clause of which they are the subject, or None where all differences
        are rounding.

    Raises:
        ModelFault: If more than 5 % of the rows, and at least 2, change their decision, or their value by more than 5 %
            of its spread.
    """
    if len(data) < 2:
        return None
    drawn = _drawn(data)
    x, before = data.x[drawn], outputs[drawn]
    cache, key = current_settings().cache, caller.key("company", f"{task}/{kind}", x, before)
    if key is not None and (kept := cache.get(key)) is not None:
        return kept.tobytes().decode() or None
    low = _lowest(before)
    note = _note(caller, x[low], before[low], before, task, kind)
    if key is not None:
        cache.put(key, np.frombuffer((note or "").encode(), dtype=np.uint8))
    return note


def _drawn(data: Dataset) -> IntArray:
    """Positions of the rows of which some are asked, by their ids: the same ones in any order of the rows."""
    looked = np.unique(np.linspace(0, len(data) - 1, min(len(data), _LOOKED_AT)).round().astype(np.int64))
    # Without their inputs: those of a few thousand rows can be large.
    bare = Dataset(name=data.name, x=looked[:, None], y=None, ids=data.ids[looked], schema=data.schema)
    words = row_words(bare.row_keys(), 1, seed=0, stream=_STREAM)[:, 0]
    return looked[np.argsort(words, kind="stable")[: 2 * SAMPLED_ROWS]]


def _lowest(outputs: FloatArray) -> IntArray:
    """The half of the rows that is lowest in the column that varies most."""
    column = outputs[:, int(np.argmax(_spreads(outputs)))]
    return np.argsort(column, kind="stable")[: (len(outputs) + 1) // 2]


def _spreads(outputs: FloatArray) -> FloatArray:
    """How far each column's values lie apart, a twentieth at either end left out unless all else is equal."""
    with np.errstate(over="ignore", invalid="ignore"):  # outputs near the largest float lie infinitely far apart
        low, some, most, high = np.quantile(outputs, [0.0, 0.05, 0.95, 1.0], axis=0)
        return np.asarray(np.where(most > some, most - some, high - low))


def _note(caller: Caller, x: AnyArray, first: FloatArray, drawn: FloatArray, task: Task, kind: Kind) -> str | None:
    """What is to be told of rows `x` that were answered `first`; refuses the model where it is too much."""
    size = other_batch(caller.model, len(x))
    alone = caller.model.fixed_batch is None and size > 1
    try:
        again = caller.again(x, size=size)
        lone = caller.again(x[:1], size=1) if alone else first[:1]
        if {again.shape[1], lone.shape[1]} != {first.shape[1]}:
            raise ModelFault(f"{caller.model.name} gives outputs of another width there")
    except (InvalidInput, ModelFault) as error:
        reason = str(error) if error.__cause__ is None else brief(error.__cause__)
        return f"may depend on the rows that share a batch, which could not be seen: asked in another batch, {reason}"
    seen = _compared(first, again, lone, _spreads(drawn), task=task, kind=kind, size=size, alone=alone)
    if seen.changed > max(1.0, _FEW * seen.rows):
        raise ModelFault(_refusal(caller.model, seen, task))
    return _told(caller.model, seen, task) if seen.changed or seen.ties or seen.material else None


def _compared(
    first: FloatArray,
    again: FloatArray,
    lone: FloatArray,
    spreads: FloatArray,
    *,
    task: Task,
    kind: Kind,
    size: int,
    alone: bool,
) -> _Seen:
    """Count the rows that changed, among others or alone."""
    # Scores of classes are compared with each other: a class that is never met has no spread of its own.
    spreads = spreads if task == "regression" else np.full(first.shape[1], spreads.max())
    # The row that was asked alone is compared as one more row.
    before, after = np.concatenate([first, first[:1]]), np.concatenate([again, lone])
    with np.errstate(over="ignore"):
        gaps = np.abs(after - before)
    rounding = REPEATABLE * np.abs(before)
    if task != "regression":
        rounding = np.repeat(rounding.max(axis=1, keepdims=True), rounding.shape[1], axis=1)
    decided, other = _decisions(before, task, kind), _decisions(after, task, kind)
    if decided is None or other is None:
        changed, ties = (gaps > np.maximum(_CHANGE * spreads, rounding)).any(axis=1), np.zeros(len(gaps), dtype=bool)
    else:
        flipped: BoolArray = (other != decided).any(axis=1)
        beyond = (gaps > rounding).any(axis=1) | (kind == "labels")
        changed, ties = flipped & beyond, flipped & ~beyond
    material = (gaps > np.maximum(_ROUNDING * spreads, rounding)).any(axis=1)
    worst = int(np.argmax(gaps.max(axis=0)))
    return _Seen(
        rows=len(first),
        size=size,
        alone=bool(changed[-1] or ties[-1]) if alone else None,
        changed=_rows(changed),
        ties=_rows(ties),
        material=_rows(material),
        largest=float(gaps.max()),
        spread=float(spreads[worst]),
    )


def _rows(found: BoolArray) -> int:
    """How many rows are meant: the last one is the first, asked alone."""
    return int(found[:-1].sum()) + int(found[-1] and not found[0])


def _decisions(outputs: FloatArray, task: Task, kind: Kind) -> AnyArray | None:
    """What a classifier says of each row, (n, labels); None for numbers, which decide nothing."""
    if task == "regression":
        return None
    if kind == "labels":
        return outputs
    middle = 0.0 if kind == "logits" else 0.5
    if task == "multilabel":
        return np.asarray(outputs >= middle)
    return np.asarray(outputs > middle if outputs.shape[1] == 1 else outputs.argmax(axis=1)[:, None])


def _counted(seen: _Seen, task: Task) -> str:
    """How many rows changed, and by how much."""
    did = "changed by more than 5 % of the outputs' spread" if task == "regression" else "changed their decision"
    how = "one at a time, in another order"
    if seen.size > 1:
        how = f"in a batch of {seen.size}" if seen.size == seen.rows else f"in batches of {seen.size}"
    also = (
        "" if seen.alone is None else f" (one of them also alone: it {'changed' if seen.alone else 'did not change'})"
    )
    percent = 100 * seen.largest / seen.spread if seen.spread > 0 else 0.0
    share = f", {percent:{',.0f' if percent >= 10 else '.2g'}} % of their spread" if percent > 0 else ""
    return (
        f"{seen.changed + seen.ties} of {seen.rows} sampled rows {did} when they were asked again {how}{also}; "
        f"outputs differ by up to {seen.largest:.3g}{share}"
    )


def _single(model: Model) -> bool:
    """Whether the model is asked one row at a time anyway: only what was asked before can change its answers."""
    return (model.fixed_batch or model.batch_size) == 1


def _told(model: Model, seen: _Seen, task: Task) -> str:
    """The note."""
    on = "what was asked before" if _single(model) else "the rows that share a batch"
    return f"depend on {on}: {_counted(seen, task)}"


def _refusal(model: Model, seen: _Seen, task: Task) -> str:
    """Why the model is refused, and what would be right."""
    if _single(model):
        return (
            f"{model.name}'s answers depend on what was asked before: {_counted(seen, task)}. A row's answer must be a "
            "function of the row alone: fix the model's seed, keep no state between calls"
        )
    deployed = (
        "export it with a batch of 1"
        if model.fixed_batch is not None
        else "declare batch_size=1 (in as_model, load_model, or [models] of a config), which is always defined, to "
        "measure it as it is deployed one row at a time"
    )
    return (
        f"{model.name}'s answers depend on the rows that share a batch, or on what was asked before: "
        f"{_counted(seen, task)}. A row's answer must be a function of the row alone: put layers that take statistics "
        f"of the batch (BatchNorm) into evaluation mode; or {deployed}"
    )
