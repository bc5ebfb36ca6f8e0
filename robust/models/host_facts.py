"""What a model's answers may hang on outside the model: processor, provider, threads, versions."""

import os
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from robust.models.base import Model, adapter_of

#: Instruction sets that change the kernels which int8 and float models run on.
FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "amx_bf16", "asimd", "asimddp", "i8mm", "sve")


@cache
def processor() -> tuple[str, tuple[str, ...]]:
    """Name of the processor, empty where it is not told, and which of `FEATURES` it has."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "", ()
    table = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = frozenset((table.get("flags") or table.get("Features") or "").split())
    return table.get("model name", ""), tuple(feature for feature in FEATURES if feature in flags)


def host_facts(models: Sequence[Model]) -> tuple[tuple[str, str], ...]:
    """Where some models ran, for the provenance of a number; nothing is imported for it.

    Args:
        models: Those that took part.

    Returns:
        Name and value of each fact: the processor and its instruction sets; of each framework that took part version,
        provider and threads.

    >>> dict(host_facts([]))["cpu_features"] == " ".join(processor()[1])
    True
    """
    name, features = processor()
    facts = {"processor": name, "cpu_features": " ".join(features)}
    for model in models:
        if model.framework == "onnx":
            facts["onnxruntime"] = _onnxruntime(adapter_of(model))
        elif model.framework == "torch" and (torch := sys.modules.get("torch")) is not None:
            facts["torch"] = f"{torch.__version__}, {_threads(torch.get_num_threads())}"
        elif model.framework == "sklearn" and (sklearn := sys.modules.get("sklearn")) is not None:
            facts["scikit-learn"] = str(sklearn.__version__)
    return tuple(facts.items())


def _onnxruntime(adapter: Any) -> str:
    """Version, providers and threads of a session; the version alone where there is none to look at."""
    library = sys.modules.get("onnxruntime")
    parts = [] if library is None else [str(library.__version__)]
    session = getattr(adapter, "session", None)
    if session is not None:
        parts += session.get_providers()
        # 0 leaves the number to onnxruntime, which takes the cores.
        parts.append(_threads(session.get_session_options().intra_op_num_threads or os.cpu_count() or 1))
    return ", ".join(parts)


def _threads(number: int) -> str:
    return f"{number} thread" if number == 1 else f"{number} threads"
