"""Results as plain data for `test_results.json`."""

import json
import math
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from robust.data.dataset import Dataset
from robust.evidence import Finding
from robust.measurement import Measurement
from robust.models.base import Model

#: Raised when a key changes its meaning or goes.
VERSION = 1


def plain_measurement(m: Measurement) -> dict[str, Any]:
    """A measurement as JSON holds it; a bound that does not exist is null."""
    return {
        "value": number(m.value),
        "lower": number(m.lower),
        "upper": number(m.upper),
        "level": m.level,
        "n": m.n,
        "unit": m.unit,
        "method": m.method,
        "higher_is_better": m.higher_is_better,
        "failed_checks": [f"{check.name}: {check.reason}" for check in m.validity if not check.passed],
    }


def number(value: float) -> float | None:
    """A float as JSON holds it: null where it is not finite."""
    return float(value) if math.isfinite(value) else None


def described(model: Model, data: Dataset, *, level: float, seed: int) -> dict[str, Any]:
    """What was judged on what."""
    return {
        "format": "robust-testing",
        "version": VERSION,
        "robust": _own_version(),
        "level": level,
        "seed": seed,
        "model": plain_model(model),
        "data": {"name": data.name, "rows": len(data), "row_shape": list(data.x.shape[1:]), "sha256": data.fingerprint},
    }


def plain_model(model: Model) -> dict[str, Any]:
    """A model by name and content."""
    return {"name": model.name, "framework": model.framework, "sha256": model.identity()}


def findings(m: Measurement) -> list[str]:
    """The sentences among a measurement's evidence."""
    return [item.text for item in m.evidence if isinstance(item, Finding)]


def as_json(results: Mapping[str, Any]) -> str:
    """Results as text: keys sorted, two spaces, no NaN, a newline at the end."""
    return json.dumps(results, sort_keys=True, indent=2, allow_nan=False, ensure_ascii=False, default=_item) + "\n"


def _item(value: Any) -> Any:
    """Scalars of numpy as the numbers that they are."""
    return value.item() if hasattr(value, "item") else str(value)


def _own_version() -> str:
    try:
        return version("robust-gates")
    except PackageNotFoundError:
        return "unknown"
