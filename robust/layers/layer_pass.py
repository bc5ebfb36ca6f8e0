"""Runs two models over the rows, batch by batch, and sums up what they have at the points where both mean the same."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from robust.data.dataset import Dataset
from robust.errors import InvalidInput
from robust.evidence import Finding, SelfCheck
from robust.layers.blocks import ENTRY, OUTPUT, RECURRENT, Block, Values, Watched
from robust.layers.compared_share import layers_compared
from robust.layers.layer_checks import layer_checks, self_comparison
from robust.layers.layer_result import LayerError, Sums, with_losses
from robust.layers.matching import Match, Unmatched, matched
from robust.layers.point_sums import ROUNDING, PointSums, weight_sqnr
from robust.layers.weights import folded
from robust.layers.wide_ranges import Filled, wide_ranges
from robust.models.base import Model
from robust.predicting.metering import count_rows
from robust.types import AnyArray

_PROBE = 3
#: Bytes of activations that are held at once, about.
_BUDGET = 1 << 28


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Compared:
    """Two models, compared layer by layer.

    Args:
        rows: The layers of both, in the order of the reference's run.
        sums: What each rests on.
        unmatched: Layers that were not compared.
        checks: Self-checks.
        output: Key of the row of what the models give; None where that was not compared.
        wide: Activations of the candidate with scales that are too wide.
    """

    rows: tuple[LayerError, ...]
    sums: tuple[Sums, ...]
    unmatched: tuple[Unmatched, ...]
    checks: tuple[SelfCheck, ...]
    output: str | None
    wide: tuple[Finding, ...]


def compare_layers(old: Model, new: Model, first: Watched, second: Watched, data: Dataset) -> Compared:
    """Compare all layers of two models on the same rows.

    Args:
        old: The reference.
        new: The candidate.
        first: The reference's layers.
        second: The candidate's layers.
        data: The rows.

    Raises:
        InvalidInput: If no layer of one is found in the other.
    """
    size = _fixed(old, new)
    probe = _filled(data.x[: size or _PROBE], size)
    pairs, unmatched = matched(first.blocks, second.blocks)
    pairs, output = _with_output(pairs, first.output, second.output)
    old_values = first.values(probe, [pair.reference.end for pair in pairs])
    new_values = second.values(probe, [pair.candidate.end for pair in pairs])
    pairs, dropped = _comparable(pairs, old_values, new_values)
    unmatched = (*unmatched, *dropped)
    if all(pair.reference.name == OUTPUT for pair in pairs):
        told = "; ".join(f"{one.layer} of the {one.model}: {one.reason}" for one in unmatched[:5])
        raise InvalidInput(
            f"no layer of {old.name} is found in {new.name} ({told or 'they show none'}): compare a model with a "
            "quantized build of itself"
        )
    held = 3 * (first.bytes_of(old_values) + second.bytes_of(new_values))
    batch = size or max(1, min(old.batch_size, new.batch_size, _BUDGET * len(probe) // max(held, 1)))
    shapes = {pair.reference.end: old_values[pair.reference.end].shape[1:] for pair in pairs}
    sums = _passes(first, second, pairs, data, batch=batch, fixed=size, shapes=shapes)
    blocks = _moved((*first.blocks, _at_output(first.output)), pairs)
    rows, unmatched, kept = _rows(pairs, sums, unmatched, _upstream(blocks, pairs), _readers(blocks[:-1]))
    if not rows:
        raise InvalidInput(
            f"no layer of {old.name} and {new.name} holds finite numbers on these rows: "
            f"{unmatched[-1].layer}: {unmatched[-1].reason}"
        )
    models = (("reference", first), ("candidate", second))
    given = output if any(row.point == output for row in rows) else None
    checks = (
        *layer_checks(rows, self_comparison(first, pairs, probe), models, pairs, probe),
        layers_compared(rows, unmatched, ((old, first), (new, second)), probe, output=given),
    )
    return Compared(
        rows=rows, sums=kept, unmatched=unmatched, checks=checks, output=given, wide=_wide(second, pairs, sums)
    )


def _wide(candidate: Watched, pairs: tuple[Match, ...], sums: Mapping[str, Sums]) -> tuple[Finding, ...]:
    """Activations of the candidate whose values leave codes unused."""
    points = [(ENTRY, ENTRY, ENTRY), *((p.reference.label, p.reference.end, p.candidate.end) for p in pairs)]
    known = [(label, candidate.codes(end), sums[key].together) for label, key, end in points]
    return wide_ranges(Filled(label=label, codes=codes, sums=one) for label, codes, one in known if codes is not None)


def _with_output(pairs: tuple[Match, ...], old: Block, new: Block) -> tuple[tuple[Match, ...], str]:
    """Pairs with one of what the models give, unless a pair ends there in both; and the key of its point."""
    if any((pair.reference.end, pair.candidate.end) == (old.end, new.end) for pair in pairs):
        return pairs, old.end
    return (*pairs, Match(reference=_at_output(old), candidate=_at_output(new), how="order")), OUTPUT


def _at_output(block: Block) -> Block:
    """The output as a point of its own."""
    return replace(block, end=OUTPUT)


def _fixed(old: Model, new: Model) -> int | None:
    """The batch size that a model's file fixes."""
    sizes = {model.fixed_batch for model in (old, new)} - {None}
    if len(sizes) > 1:
        raise InvalidInput(
            f"{old.name} and {new.name} fix other batch sizes, {sorted(map(str, sizes))}: export both alike"
        )
    return sizes.pop() if sizes else None


def _filled(x: AnyArray, size: int | None) -> AnyArray:
    """Rows filled up to a fixed batch by repeating the last."""
    missing = 0 if size is None else size - len(x)
    return np.concatenate([x, np.repeat(x[-1:], missing, axis=0)]) if missing > 0 else x


def _comparable(pairs: tuple[Match, ...], old: Values, new: Values) -> tuple[tuple[Match, ...], tuple[Unmatched, ...]]:
    """Pairs whose values fit each other."""
    kept, dropped = [], []
    for pair in pairs:
        r, q = old.get(pair.reference.end), new.get(pair.candidate.end)
        reason = None
        if r is None or q is None:
            reason = f"the {'reference' if r is None else 'candidate'} holds no numbers, row by row, at this point"
        elif r.shape != q.shape and not _same_rows(pair, r.shape[1:], q.shape[1:]):
            reason = f"its rows have shape {r.shape[1:]} in the reference, {q.shape[1:]} in the candidate"
        if reason is None:
            kept.append(pair)
        else:
            dropped.append(Unmatched(layer=pair.reference.label, model="reference", reason=reason))
    return tuple(kept), tuple(dropped)


def _same_rows(pair: Match, old: tuple[int, ...], new: tuple[int, ...]) -> bool:
    """Whether rows are the same but for axes taken together: files keep the directions of a recurrent layer apart."""
    cuts = set(np.cumprod(old).tolist()), set(np.cumprod(new).tolist())
    recurrent = pair.reference.family in RECURRENT and pair.candidate.family in RECURRENT
    return recurrent and math.prod(old) == math.prod(new) and (cuts[0] <= cuts[1] or cuts[1] <= cuts[0])


def _passes(
    first: Watched,
    second: Watched,
    pairs: tuple[Match, ...],
    data: Dataset,
    *,
    batch: int,
    fixed: int | None,
    shapes: Mapping[str, tuple[int, ...]],
) -> dict[str, Sums]:
    """One pass of each model from the rows on, and one of the reference's layers on what the candidate's got."""
    n = len(data)
    names = {pair.candidate.end: pair.reference.end for pair in pairs}
    sums = {end: Sums(together=PointSums(n), alone=PointSums(n)) for end in (ENTRY, *names.values())}
    for part in _parts(n, batch):
        x = _filled(np.array(data.x[part]), fixed)
        size = part.stop - part.start
        count_rows(forward=3 * size)
        q = {names.get(end, end): array for end, array in second.values(x, list(names)).items()}
        q |= {end: q[end].reshape(len(x), *shape) for end, shape in shapes.items()}
        r = first.values(x, list(names.values()))
        for end, found in sums.items():
            if end in r and end in q:
                found.together.add(part, r[end][:size], q[end][:size])
        entry = q.pop(ENTRY, x)  # codes stand for no numbers that could differ
        if ENTRY in r:
            sums[ENTRY].alone.add(part, r[ENTRY][:size], entry[:size])
        own = first.own(entry.reshape(x.shape), q)
        for end in names.values():
            # In the type in which the float layer was fed: what merely hands numbers on then has no error.
            sums[end].alone.add(part, own[end][:size], q[end][:size].astype(own[end].dtype))
    return sums


def _parts(n: int, batch: int) -> Iterator[slice]:
    return (slice(start, min(start + batch, n)) for start in range(0, n, batch))


def _rows(
    pairs: tuple[Match, ...],
    sums: Mapping[str, Sums],
    unmatched: tuple[Unmatched, ...],
    upstream: Mapping[str, tuple[str, ...]],
    readers: Mapping[str, tuple[str, ...]],
) -> tuple[tuple[LayerError, ...], tuple[Unmatched, ...], tuple[Sums, ...]]:
    """The layers, those aside that hold NaN or infinity."""
    rows, feeds, kept, dropped = [], [], [], []
    if sums[ENTRY].together.sqnr < ROUNDING:  # the candidate quantizes the rows themselves
        block = Block(name=ENTRY, kind="Input", end=ENTRY)
        pairs = (Match(reference=block, candidate=block, how="order"), *pairs)
    for pair in pairs:
        end, found = pair.reference.end, sums[pair.reference.end]
        if not (found.together.finite and found.alone.finite):
            dropped.append(
                Unmatched(
                    layer=pair.reference.label, model="reference", reason="it holds NaN or infinity on these rows"
                )
            )
            continue
        kept.append(found)
        feeds.append(upstream.get(end, ()))
        rows.append(
            LayerError(
                layer=pair.reference.name,
                kind=pair.reference.kind,
                point=end,
                matched_by=pair.how,
                shape=found.together.shape,
                sqnr=found.together.sqnr,
                cosine=found.together.cosine,
                max_error=found.together.largest,
                mean_error=found.together.mean_error,
                bias=found.together.bias,
                own_sqnr=found.alone.sqnr,
                own_max_error=found.alone.largest,
                weight_sqnr=_weights(pair),
                readers=readers.get(end, ()) if pair.candidate.integers else (),
                part=pair.reference.part,
                named=pair.reference.named,
            )
        )
    return with_losses(rows, feeds), (*unmatched, *dropped), tuple(kept)


def _moved(blocks: tuple[Block, ...], pairs: tuple[Match, ...]) -> tuple[Block, ...]:
    """Layers at the points where they are compared, and what reads them there; none whose constants these took up."""
    homes = {pair.reference.home: pair.reference.end for pair in pairs if pair.reference.home}
    later = [
        replace(block, end=homes.get(block.end, block.end), feeds=tuple(homes.get(feed, feed) for feed in block.feeds))
        for block in blocks
    ]
    passed = {end for pair in pairs for end in pair.reference.passed if end != pair.reference.end}
    return tuple(block for block in later if block.end not in block.feeds and block.end not in passed)


def _upstream(blocks: tuple[Block, ...], pairs: tuple[Match, ...]) -> dict[str, tuple[str, ...]]:
    """Compared points that each layer takes its inputs from, through layers that were not compared."""
    compared = {pair.reference.end for pair in pairs} | {ENTRY}
    found: dict[str, tuple[str, ...]] = {}
    for block in blocks:  # in the order of a run: what it reads is known
        nearest = [(feed,) if feed in compared else found.get(feed, ()) for feed in block.feeds]
        found[block.end] = tuple(dict.fromkeys(point for points in nearest for point in points))
    return found


def _readers(blocks: tuple[Block, ...]) -> dict[str, tuple[str, ...]]:
    """Labels of the layers that read each point."""
    found: dict[str, tuple[str, ...]] = {}
    for block in blocks:
        for feed in block.feeds:
            found[feed] = (*found.get(feed, ()), block.label)
    return found


def _weights(pair: Match) -> float | None:
    """Signal to noise of the weights, the batch normalisation folded in where one model alone has it folded."""
    old, new = folded(pair.reference, pair.candidate), folded(pair.candidate, pair.reference)
    if old is None or new is None or old.shape != new.shape:
        return None
    found = weight_sqnr(old, new)
    return None if math.isnan(found) else found
