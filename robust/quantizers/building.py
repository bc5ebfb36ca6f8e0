"""Builds a quantized candidate from a float model."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from robust.errors import InvalidInput, MissingExtra
from robust.models.base import Model, adapter_of
from robust.models.conversion import as_model
from robust.models.options import Options
from robust.predicting.cache import ArrayCache
from robust.quantizers.calibration_rows import CalibrationRows, calibration_rows
from robust.quantizers.kept_artefacts import artefact_store, kept
from robust.quantizers.out_path import overwrites, writable_path
from robust.quantizers.recipe import Recipe, read_batch, read_recipe
from robust.whole_files import write_whole


def quantize(
    model: Any,
    calibration: Any,
    *,
    method: str = "static",
    calibrate: str = "minmax",
    percentile: float = 99.999,
    per_channel: bool = True,
    weight_type: str | None = None,
    activation_type: str | None = None,
    reduce_range: bool | None = None,
    batch: int = 64,
    keep: Sequence[str] = (),
    out: str | Path | None = None,
    cache: str | Path | None = None,
) -> Model:
    """Build a quantized candidate of a float model, with onnxruntime or torchao.

    v ≈ s (q − z), q = clip(round(v / s) + z, lowest, highest)

    A torch module is exported to ONNX first (seconds, once: exports and candidates are kept by the content of the
    weights, of the calibration rows and of every option), except for `torchao`. Modules keep their names.

    Args:
        model: A float torch module or ONNX file; anything `as_model` takes that shows its graph.
        calibration: Rows (n, *row shape) of the training data, n ≥ 8, better 100 or more; what `as_data` takes,
            targets not needed. None for an ONNX file and a method that takes no ranges from rows.
        method: `static`: int8 weights and activations, ranges from calibration rows, QDQ pairs; `qoperator`: the same
            with integer operators; `dynamic`: ranges from each call; `weight-only`: weights of matrix products, 4
            bits in blocks of 32; `torchao`: Linear layers of a torch module, inside torch.
        calibrate: The range of an activation, for `static` and `qoperator`: `minmax`, all values; `entropy`, the range
            with the least Kullback-Leibler divergence; `percentile`, all but the largest magnitudes.
        percentile: Share of the magnitudes inside the range, in percent, in (50, 100].
        per_channel: One scale an output channel of a weight, instead of one a tensor.
        weight_type: `int8` or `uint8`, also `int4` and `uint4`; None for int8, for `dynamic` uint8, for `weight-only`
            int4.
        activation_type: `int8`, or `uint8`, which is usual beside weights of uint8; for `static` also `int16` and
            `uint16`; for `torchao` `int8` or `float`.
        reduce_range: Keep 8-bit weights to 7 bits; None for yes where they are int8. Processors without VNNI add pairs
            of products with signed 8-bit weights in 16 bits and saturate: full-range weights then decide otherwise
            there than where they were tested.
        batch: Rows a calibration step, at most; it bounds the memory and decides no number.
        keep: Names of modules that stay in float, e.g. `("4",)`; those inside them stay too.
        out: Where to write the file; neither the model's own nor that of the calibration rows.
        cache: Folder of exports and candidates; None keeps them where the run keeps its predictions, by default in
            memory.

    Returns:
        The candidate, with the float model's task, classes and kind of output. That of onnxruntime has the bytes of
        its file in `.content`; that of torchao is a live module.

    Raises:
        InvalidInput: If the model shows no graph, is quantized already, or has operators that cannot be quantized or
            exported (they are named); if calibration rows are too few, all equal, of another shape, or hold NaN; if an
            option is unknown or has no effect; if `out` is a file that is read; if the prepared graph or the quantized
            weights are not the model's own.
        MissingExtra: If onnxruntime, the exporter or torchao is not installed.

    Source:
        Jacob et al. (2018), equation 1; Migacz (2017) for `entropy`.

    >>> import numpy as np
    >>> from robust.examples.catalogue import example_path
    >>> rows = np.load(example_path("digits") / "train.npz")["x"]
    >>> candidate = quantize(example_path("digits") / "float.onnx", rows, keep=("9",))
    >>> candidate.name, len(candidate.content()) < 20_000
    ('float.onnx int8 static minmax without 9', True)
    """
    recipe = read_recipe(
        method=method,
        calibrate=calibrate,
        percentile=percentile,
        per_channel=per_channel,
        weight_type=weight_type,
        activation_type=activation_type,
        reduce_range=reduce_range,
        keep=keep,
    )
    size, path = read_batch(batch), None if out is None else writable_path(out, model=model, calibration=calibration)
    source = as_model(model)
    _refuse_own_copy(path, source)
    _refuse_opaque(source)
    rows = None if calibration is None else calibration_rows(calibration, batch=size, fixed=source.fixed_batch)
    if source.framework == "torch":
        from robust.quantizers.modules_torch import refuse_quantized, refuse_unfit_rows

        refuse_quantized(adapter_of(source).module, name=source.name)
        if rows is not None:
            refuse_unfit_rows(adapter_of(source), next(rows.batches())[: source.fixed_batch or 1], name=source.name)
    if recipe.method == "torchao":
        if path is not None:
            raise InvalidInput("method 'torchao' gives a live module, which has no file: leave out= out")
        return _inside_torch(source, rows, recipe)
    if rows is None and recipe.calibrated:
        raise InvalidInput(f"method {recipe.method!r} takes ranges from calibration rows: give some training rows")
    candidate = _quantized(source, rows, recipe, artefact_store(cache), name=None if path is None else path.name)
    if path is not None and candidate.content is not None:
        _write(path, candidate.content())
    return candidate


def _refuse_opaque(model: Model) -> None:
    """Refuse what does not show a graph, and say what would be right for it."""
    if model.framework == "sklearn":
        raise InvalidInput(
            f"{model.name} is a scikit-learn estimator, which neither onnxruntime nor torchao quantizes as it is: "
            "convert it to ONNX (skl2onnx) and quantize the file; trees have no products to gain from it"
        )
    shows = model.content is not None if model.framework == "onnx" else hasattr(adapter_of(model), "module")
    if model.framework not in ("onnx", "torch") or not shows:
        what = "a live session" if model.framework == "onnx" else f"a {model.framework}"
        raise InvalidInput(
            f"{model.name} is {what}, which does not show its graph: pass the torch module or the path of the ONNX "
            "file behind it"
        )


def _quantized(
    source: Model, rows: CalibrationRows | None, recipe: Recipe, store: ArrayCache, *, name: str | None
) -> Model:
    """The candidate that onnxruntime makes, from the store where it is known."""
    if find_spec("onnxruntime") is None or find_spec("onnx") is None:
        raise MissingExtra(f"method {recipe.method!r}", "onnx")
    from robust.quantizers.files_onnx import opened, quantized_file

    content = _float_file(source, rows, store)
    if rows is not None:
        edge = adapter_of(opened(content, Options(name=source.name)))
        edge.cast(next(rows.batches()))  # rows of another shape are refused, also where the candidate is known
    parts = (
        "quantize",
        hashlib.sha256(content).hexdigest(),
        rows.digest() if rows is not None and recipe.calibrated else None,
        repr(recipe),
    )
    made = kept(store, parts, lambda: quantized_file(content, rows, recipe, name=source.name))
    candidate = opened(made, _told(source, name or f"{source.name} {recipe.label}"))
    return candidate if rows is None or not recipe.calibrated else replace(candidate, calibrated=rows.calibrated())


def _float_file(source: Model, rows: CalibrationRows | None, store: ArrayCache) -> bytes:
    """Bytes of the float model's ONNX file: its own, or a module's export."""
    if source.framework == "onnx" and source.content is not None:
        return source.content()
    if rows is None:
        raise InvalidInput(f"{source.name} is exported for rows of some shape: give calibration rows")
    if find_spec("onnxscript") is None:
        raise MissingExtra(f"exporting {source.name} to ONNX", "onnx")
    from robust.quantizers.export_torch import exported

    row, adapter, identity = rows.data.x.shape[1:], adapter_of(source), source.identity()
    fixed = source.fixed_batch
    parts = None if identity is None else ("export", identity, row, fixed, adapter.integer)
    return kept(store, parts, lambda: exported(adapter, row, name=source.name, fixed=fixed))


def _inside_torch(source: Model, rows: CalibrationRows | None, recipe: Recipe) -> Model:
    if source.framework != "torch":
        raise InvalidInput(
            f"method 'torchao' is for live torch modules, got {source.name} ({source.framework}): method='static' or "
            "'dynamic' would be right"
        )
    from robust.models.adapter_torch import torch_model
    from robust.quantizers.linear_torch import linear_quantized, runs

    twin = linear_quantized(adapter_of(source).module, recipe, name=source.name)
    candidate = torch_model(twin, _told(source, f"{source.name} {recipe.label}"))
    if rows is not None:
        runs(candidate, next(rows.batches())[: source.fixed_batch or 1])
    return candidate


def _told(source: Model, name: str) -> Options:
    """What is known of the float model is known of its candidate."""
    return Options(
        name=name, task=source.task, classes=source.classes, output=source.output, batch_size=source.batch_size
    )


def _refuse_own_copy(path: Path | None, source: Model) -> None:
    """A model that was loaded before does not tell its path: its file is known by its bytes."""
    if path is None or source.content is None or not path.is_file():
        return
    content = source.content()
    if path.stat().st_size == len(content) and path.read_bytes() == content:
        raise overwrites(path, "the float model")


def _write(path: Path, content: bytes) -> None:
    try:
        write_whole(path, content)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror or error}") from error
