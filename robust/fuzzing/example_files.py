"""Failing batches as files, and whether a model still fails on one: nothing in them is pickled or run."""

import io
import json
import platform
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from robust.data.schema import FeatureSchema, build_schema
from robust.errors import InvalidInput
from robust.fuzzing.asking import Asker, quiet
from robust.fuzzing.batch_forms import LAYOUTS, TYPES, BatchForm
from robust.fuzzing.examining import Examiner
from robust.fuzzing.expected import Expected
from robust.fuzzing.faults import LEVELS, PROPERTIES, SAMPLED, Level, Property
from robust.fuzzing.fuzz_result import FuzzExample
from robust.fuzzing.subject import subject_of
from robust.models.conversion import as_model
from robust.types import AnyArray
from robust.whole_files import write_whole

_FORMAT = "robust-fuzz-1"
_LARGEST = 1 << 30
# A model whose answers are random may fail once in many times: so often a batch is tried, for so many seconds at most.
_TRIES, _PATIENCE = 300, 2.0
_LIBRARIES = ("numpy", "sklearn", "torch", "onnxruntime")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Replayed:
    """Whether a model fails on a saved batch.

    Args:
        fails: Whether it still does, in the same way.
        property: Which property.
        level: Where the rows lie.
        words: What was seen now.
        same_model: Whether it is the model that the batch was saved for, by content; None where that is not known.
        path: The file.
    """

    fails: bool
    property: Property
    level: Level
    words: str
    same_model: bool | None
    path: Path

    def __repr__(self) -> str:
        return f"<Replayed {self}>"

    def __str__(self) -> str:
        known = {True: "the same model", False: "another model than it was saved for", None: "a model without a hash"}
        state = "still fails" if self.fails else "fails no longer"
        return f"{self.path.name}: {self.property}, {self.level}: {state} ({known[self.same_model]}): {self.words}"


def save_example(
    example: FuzzExample, folder: Path, *, examiner: Examiner, schema: FeatureSchema, seed: int, data: str
) -> Path:
    """Write a batch (`.npz`) and what it is (`.json`).

    Args:
        example: The batch.
        folder: Where to; made where it lacks.
        examiner: The model and its yardstick, which a replay needs.
        schema: The features.
        seed: Of the fuzz.
        data: Fingerprint of the data.

    Returns:
        Path of the `.npz`.
    """
    form = example.form
    parts = (example.level, example.property, example.kind, "" if form.plain else form.name)
    words = re.sub(r"[^a-z0-9]+", "-", " ".join(parts).lower()).strip("-")
    expected, width = examiner.expected, schema.width
    told = {
        "format": _FORMAT,
        "property": example.property,
        "level": example.level,
        "kind": example.kind,
        "words": example.words,
        "form": {"dtype": form.dtype, "layout": form.layout, "size": form.size},
        "model": {"name": examiner.asker.subject.name, "sha256": examiner.asker.subject.model.identity()},
        "data": data,
        "seed": seed,
        "budget": examiner.asker.budget,
        "may_refuse": examiner.may_refuse,
        "expected": {
            "columns": expected.columns,
            "spread": expected.spread,
            "summed": expected.summed,
            "inside": expected.inside,
            "decides": expected.decides,
        },
        "names": list(schema.names),
        "shape": list(schema.shape),
        "categories": {schema.names[j]: list(labels) for j, labels in schema.categories},
        "versions": {"python": platform.python_version(), **_versions()},
    }
    path = folder / f"{words}.npz"
    packed = io.BytesIO()
    ordinary = examiner.obeyed(example.rows.reshape(len(example.rows), width))
    np.savez_compressed(packed, x=example.rows, base=examiner.base.reshape(schema.shape), ordinary=ordinary)
    write_whole(path, packed.getvalue())
    write_whole(path.with_suffix(".json"), (json.dumps(told, indent=1) + "\n").encode())
    return path


def replay(path: str | Path, model: object) -> Replayed:
    """Ask a model about a saved batch.

    Args:
        path: The `.npz` that `fuzz(…, save=…)` wrote; its `.json` lies beside it.
        model: What `as_model` takes.

    Returns:
        Whether it still fails in the same way.

    Raises:
        InvalidInput: If the files are missing, damaged, or not of a fuzz.

    >>> from tempfile import mkdtemp
    >>> from robust.fuzzing.random_attack import fuzz
    >>> bad = lambda x: np.where(x[:, 0] > 0.9, np.nan, x[:, 0])
    >>> found = fuzz(bad, np.array([[0.0, 0.0], [1.0, 1.0]]), n=100, levels=["inside"], save=mkdtemp())
    >>> file = found.examples[0].path
    >>> replay(file, bad).fails, replay(file, lambda x: x[:, 0]).fails
    (True, False)
    """
    file = Path(path)
    file = file.with_suffix(".npz") if file.suffix == ".json" else file
    told, arrays = _read(file)
    found = as_model(model)
    rows = arrays["x"]
    try:
        labels = {name: {"categories": texts} for name, texts in told["categories"].items()}
        schema = build_schema(labels, names=told["names"], shape=tuple(told["shape"]))
        level, property_ = told["level"], told["property"]
        form = BatchForm(**told["form"])
        expected = Expected(declared=True, **told["expected"])
        if level not in LEVELS or property_ not in PROPERTIES or form.layout not in LAYOUTS:
            raise ValueError("unknown words")
        if form.dtype is not None and form.dtype not in TYPES:
            raise ValueError("unknown number type")
        if rows.shape[1:] != schema.shape:
            raise ValueError("rows of another shape")
        kind, may_refuse, budget, saved = told["kind"], told["may_refuse"], told["budget"], told["model"]["sha256"]
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"{file.with_suffix('.json')} is no description of a failing batch: {error}") from error
    ordinary = arrays["ordinary"].astype(bool)
    examiner = Examiner(
        asker=Asker(subject=subject_of(found, schema, rows.dtype), shape=schema.shape, budget=budget),
        obeyed=lambda _rows: ordinary,
        base=arrays["base"].reshape(schema.width),
        expected=expected,
        may_refuse=bool(may_refuse),
    )
    fails, words = _tried(examiner, rows.reshape(len(rows), schema.width), level, form, property_, kind)
    identity = found.identity()
    return Replayed(
        fails=fails,
        property=property_,
        level=level,
        words=words,
        same_model=None if identity is None or saved is None else identity == saved,
        path=file,
    )


def _tried(
    examiner: Examiner, rows: AnyArray, level: Level, form: BatchForm, property_: Property, kind: str
) -> tuple[bool, str]:
    """Whether a batch fails again in the same way, and what was seen; what is random is tried until it shows."""
    sampled, start, other = SAMPLED & {property_}, monotonic(), ""
    for turn in range(1, (_TRIES if sampled else 1) + 1):
        with quiet():
            seen = examiner.examine(rows, level=level, form=form, sampled=frozenset(sampled))
        own = [fault for fault in seen.faults if fault.property == property_ and fault.kind == kind]
        if own:
            return True, own[0].words + (f"; it took {turn} tries" if turn > 1 else "")
        other = other or "; ".join(fault.words for fault in seen.faults) or ("it says no" if seen.refused else "")
        if seen.refused or monotonic() - start > _PATIENCE:
            break
    return False, other or "it answers as it must" + (f", {turn} times" if turn > 1 else "")


def _versions() -> dict[str, str]:
    """Versions of this package, and of what is loaded that models are made of."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = {"robust": version("robust-gates")}
    except PackageNotFoundError:  # a checkout that was never installed
        found = {}
    loaded = {name: getattr(sys.modules.get(name), "__version__", None) for name in _LIBRARIES}
    return found | {name: str(number) for name, number in loaded.items() if number is not None}


def _read(file: Path) -> tuple[dict[str, Any], dict[str, AnyArray]]:
    """Both files."""
    try:
        if file.stat().st_size > _LARGEST:
            raise InvalidInput(f"{file} is larger than any failing batch")
        told = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        with np.load(file, allow_pickle=False) as content:
            arrays = {key: np.asarray(content[key]) for key in ("x", "base", "ordinary")}
    except FileNotFoundError as error:
        raise InvalidInput(
            f"{error.filename} does not exist: a failing batch is two files that a fuzz saved, a .npz and a .json"
        ) from error
    except (OSError, KeyError, ValueError) as error:
        raise InvalidInput(f"{file} is no failing batch that a fuzz saved: {error}") from error
    if not isinstance(told, dict) or told.get("format") != _FORMAT:
        raise InvalidInput(f"{file.with_suffix('.json')} is no description of a failing batch ({_FORMAT})")
    return told, arrays
