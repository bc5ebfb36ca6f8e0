"""One call of an onnxruntime session without anything around it, and the time of each of its nodes."""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import onnxruntime

from robust.models.adapter_onnx import OnnxAdapter
from robust.types import AnyArray

_ERRORS_ONLY = 3
_MICROSECOND = 1e-6


def onnx_call(adapter: OnnxAdapter, rows: AnyArray) -> Callable[[], None]:
    """A call on rows in the session's own type.

    Args:
        adapter: The session.
        rows: One batch (b, *row shape).
    """
    return session_call(adapter.session, {adapter.input: adapter.cast(rows)}, [adapter.output])


def session_call(session: Any, feeds: Mapping[str, AnyArray], wanted: Sequence[str] | None) -> Callable[[], None]:
    """A call on all inputs.

    Args:
        session: The session.
        feeds: Each input in its own type.
        wanted: Outputs that are computed; None for all.
    """

    def call() -> None:
        session.run(wanted, feeds)

    return call


def onnx_layer_times(
    adapter: OnnxAdapter, content: bytes, rows: AnyArray, *, runs: int, warmup: int
) -> dict[str, list[float]]:
    """Seconds of each node in each run, from onnxruntime's own profile of a second session.

    Args:
        adapter: The session that the rows belong to.
        content: Bytes of the file.
        rows: One batch.
        runs: Timed calls.
        warmup: Calls before them.

    Returns:
        Seconds a run by the node's name after fusing, with its operator.
    """
    feeds = {adapter.input: adapter.cast(rows)}
    return node_times(content, feeds, [adapter.output], runs=runs, warmup=warmup)


def node_times(
    source: bytes | str, feeds: Mapping[str, AnyArray], wanted: Sequence[str] | None, *, runs: int, warmup: int
) -> dict[str, list[float]]:
    """The same for all inputs of a file.

    Args:
        source: Bytes of the file, or its path where it keeps tensors beside it.
        feeds: Each input in its own type.
        wanted: Outputs that are computed; None for all.
        runs: Timed calls.
        warmup: Calls before them.
    """
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = _ERRORS_ONLY
    with tempfile.TemporaryDirectory() as folder:
        settings.enable_profiling = True
        settings.profile_file_prefix = str(Path(folder, "profile"))
        session = onnxruntime.InferenceSession(source, settings, providers=["CPUExecutionProvider"])
        for _ in range(warmup + runs):
            session.run(wanted, feeds)
        events = json.loads(Path(session.end_profiling()).read_bytes())
    found: dict[str, list[float]] = {}
    for event in events:
        if event.get("cat") == "Node" and str(event.get("name", "")).endswith("_kernel_time"):
            found.setdefault(_name(event), []).append(event["dur"] * _MICROSECOND)
    # A node that runs several times a call, as in a loop, has as many entries: they are told by their number.
    return {name: _by_run(times, warmup + runs)[warmup:] for name, times in found.items()}


def _name(event: dict[str, Any]) -> str:
    operator = event.get("args", {}).get("op_name", "")
    return f"{event['name'].removesuffix('_kernel_time')} ({operator})"


def _by_run(times: list[float], runs: int) -> list[float]:
    """The sum of each run's entries."""
    per_run = max(1, len(times) // runs)
    return [sum(times[start : start + per_run]) for start in range(0, per_run * runs, per_run)]


def onnx_threads(session: Any) -> int:
    """Threads that one operator may use; 0 where the runtime takes as many as there are cores."""
    return int(session.get_session_options().intra_op_num_threads)
