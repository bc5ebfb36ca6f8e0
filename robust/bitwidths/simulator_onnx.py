"""Runs an ONNX file with rounded weights and inputs: a copy of its graph, in a session of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from robust.bitwidths.layers_onnx import FoundNodes, find_nodes
from robust.bitwidths.simulators import Forward, LeftFloat, Plan, SimulatedLayer
from robust.bitwidths.variants_onnx import Variants, has_inner_graphs
from robust.models.adapter_onnx import OnnxAdapter
from robust.models.base import Gradients
from robust.models.contract import output_columns
from robust.models.file_errors import reading
from robust.types import AnyArray

_ERRORS_ONLY = 3
#: Rows of a call: what several settings make of more of them at once does not stay in a processor's cache.
_ROWS = 64


@dataclass(slots=True, kw_only=True, eq=False)
class OnnxSimulator:
    """A file whose layers run with other weights.

    Plans have their weights in the graph: weights that a session takes as inputs cannot be laid out for its kernels
    beforehand, which makes each run of a small network three times slower than opening a session costs.

    Args:
        adapter: The file's adapter.
        name: The file's name, for messages.
        found: Its layers, and what stays in float.
    """

    adapter: OnnxAdapter
    name: str
    found: FoundNodes
    layers: tuple[SimulatedLayer, ...] = field(init=False)
    left: tuple[LeftFloat, ...] = field(init=False)
    rest: int = field(init=False)
    itemsize: int = field(init=False)
    rows: int | None = field(init=False, default=_ROWS)
    _watching: Any = field(init=False, default=None)

    def __post_init__(self) -> None:
        """What the protocol asks for."""
        self.layers, self.left = self.found.layers, self.found.left
        self.rest, self.itemsize = self.found.rest, self.found.itemsize

    def inputs(self, x: AnyArray) -> Mapping[str, Sequence[AnyArray]]:
        """What each layer is given on one batch."""
        nodes = self.found.model.graph.node
        names = {
            layer.name: [nodes[place].input[0] for place in self.found.uses[layer.name]]
            for layer in self.layers
            if layer.input
        }
        wanted = sorted({name for group in names.values() for name in group})
        fed = self.adapter.cast(x)
        found = {self.adapter.input: fed}
        inside = [name for name in wanted if name != self.adapter.input]
        if inside:  # an empty list of outputs would mean all of them
            if self._watching is None:
                self._watching = self._session(self._watched(inside))
            found |= dict(zip(inside, self._watching.run(inside, {self.adapter.input: fed}), strict=True))
        return {layer: [found[name] for name in group] for layer, group in names.items()}

    def forward(self, plan: Mapping[str, Plan]) -> Forward:
        """The file under a plan, in a new session."""
        variants = Variants(self.found)
        variants.add(plan)
        return replace(self.adapter, session=self._session(variants.model(None))).forward

    def together(self, plans: Sequence[Mapping[str, Plan]]) -> Forward | None:
        """The file under several plans, in one session; None where it has graphs in it, which share no names."""
        if self.adapter.zipped or has_inner_graphs(self.found.model.graph):
            return None
        variants = Variants(self.found)
        outputs = [variants.add(plan).get(self.adapter.output, self.adapter.output) for plan in plans]
        session = self._session(variants.model(outputs))
        distinct = list(dict.fromkeys(outputs))

        def run(x: AnyArray) -> AnyArray:
            found = session.run(distinct, {self.adapter.input: self.adapter.cast(x)})
            # Who asks for them checks and converts them, all at once.
            flat = (one if one.ndim == 2 else output_columns(one, len(x)) for one in found)
            columns = dict(zip(distinct, flat, strict=True))
            return np.concatenate([columns[name] for name in outputs], axis=1)

        return run

    def gradients(self, plan: Mapping[str, Plan]) -> Gradients | None:  # noqa: ARG002 - the protocol's
        """None: onnxruntime gives no gradients."""
        return None

    def _session(self, model: Any) -> Any:
        """A session on the CPU with as many threads as the file's own, which do not spin between calls."""
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = _ERRORS_ONLY
        settings.intra_op_num_threads = self.adapter.session.get_session_options().intra_op_num_threads
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Rounding stays where it is put: onnxruntime would move it along the graph, to where integers serve it.
        settings.add_session_config_entry("session.disable_quant_qdq", "1")
        content = model.SerializeToString()
        with reading(Path(self.name), "an ONNX model", remedy="export it again; onnxruntime must know its operators"):
            return onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])

    def _watched(self, names: Sequence[str]) -> Any:
        """The model with the inputs of its layers as outputs."""
        model = _copied(self.found.model)
        known = {value.name for value in (*model.graph.output, *model.graph.input)}
        model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names if name not in known)
        return model


def onnx_simulator(adapter: OnnxAdapter, content: bytes, name: str) -> OnnxSimulator:
    """Find the layers of a file.

    Raises:
        InvalidInput: If it has none, or is quantized already.
    """
    return OnnxSimulator(adapter=adapter, name=name, found=find_nodes(content))


def _copied(model: Any) -> Any:
    """A copy that may be changed."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy
