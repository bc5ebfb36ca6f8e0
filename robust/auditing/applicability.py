"""Whether a check applies to a subject, and if not, what it would need."""

from collections.abc import Callable

from robust.bitwidths.checks import simulable
from robust.check import Check, Need, Subject
from robust.layers.opening import hides_layers

_TESTS: dict[Need, tuple[Callable[[Subject], bool], str]] = {
    "reference": (lambda s: s.reference is not None, "a reference model (--reference, or reference in [models])"),
    "train": (
        lambda s: s.train is not None and s.train.y is not None,
        "training rows with targets (--train, or train in [data])",
    ),
    "validation": (
        lambda s: s.validation is not None and s.validation.y is not None,
        "validation rows with targets, on which thresholds and bit widths are chosen (--validation, or validation in "
        "[data])",
    ),
    "normal": (
        lambda s: s.normal is not None,
        "held-out normal rows, on which a threshold is chosen (--normal, or normal in [data])",
    ),
    "targets": (lambda s: s.test.y is not None, "targets in the test data (--target, or target in [data])"),
    "gradients": (lambda s: s.model.gradients is not None, "a candidate that gives gradients"),
    "surrogate": (
        lambda s: s.surrogate is not None and s.surrogate.gradients is not None,
        "a differentiable twin (surrogate in [models])",
    ),
    "order": (lambda s: s.test.order is not None, "rows in time order (order in [data])"),
    "layers": (lambda s: s.model.framework != "callable", "a candidate whose layers can be read, not a plain callable"),
    "bits": (
        lambda s: simulable(s) is not None,
        "a torch module or a float ONNX file as reference or candidate, whose weights can be rounded",
    ),
    "layer pair": (
        lambda s: s.reference is not None and not any(map(hides_layers, (s.reference, s.model))),
        "torch modules or ONNX files as reference and candidate, whose layers can be compared",
    ),
    "metadata": (
        lambda s: bool(s.test.slices or s.test.unused) or s.test.groups is not None,
        "columns that describe rows (slices, unused or groups in [data])",
    ),
    "unused": (lambda s: bool(s.test.unused), "columns that the model does not see (unused in [data])"),
}


def lacking(check: Check, subject: Subject) -> str | None:
    """What a check would need that the subject lacks, in words, or None when it applies."""
    if check.tasks and subject.task not in check.tasks:
        # Whatever else is missing would not help; that a model is an anomaly detector, the normal rows say.
        hint = f": give {_TESTS['normal'][1]}, where the candidate is one" if check.tasks == ("anomaly",) else ""
        alone = "" if check.audience.startswith("all but") else " alone"
        return f"for {check.audience}{alone}{hint}"
    absent = dict(subject.absent)
    missing = [
        f"{words}; {absent[need]}" if need in absent else words
        for need, (present, words) in _TESTS.items()
        if need in check.needs and not present(subject)
    ]
    return f"needs {' and '.join(missing)}" if missing else None
