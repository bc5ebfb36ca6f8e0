"""The digits example's two ONNX builds: the float network, and its int8 version for an embedded target."""

import warnings

import onnx
import torch
from torch import nn

from robust.errors import InvalidInput
from robust.models.options import Options
from robust.quantizers.building import quantize
from robust.quantizers.files_onnx import opened
from robust.types import FloatArray

_OPSET = 18
_INPUT, _OUTPUT = "image", "logits"


def float_onnx(network: nn.Module) -> onnx.ModelProto:
    """Export a trained digits network, with batch normalisation folded into the convolutions.

    Args:
        network: The network, in evaluation mode.

    Returns:
        A model from `image` (batch, 1, 8, 8) to `logits` (batch, 10), of any batch size.
    """
    with warnings.catch_warnings():
        # torch.export's own use of its own deprecated tree specification: nothing that a caller could change.
        warnings.simplefilter("ignore", FutureWarning)
        program = torch.onnx.export(
            network,
            (torch.zeros(2, 1, 8, 8),),
            input_names=[_INPUT],
            output_names=[_OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            opset_version=_OPSET,
            dynamo=True,
            verbose=False,
        )
    return _plain(program.model_proto)


def int8_onnx(model: onnx.ModelProto, calibration: FloatArray) -> onnx.ModelProto:
    """Quantize a float model statically to int8: QDQ, per-channel weights, MinMax ranges.

    v ≈ s (q − z), q = clip(round(v / s) + z, −128, 127)

    The scale s and the zero point z of an activation come from its least and its greatest value on
    `calibration`; weights have z = 0 and one s an output channel. Weights keep to 7 bits: processors without
    VNNI add pairs of 8-bit products in 16 bits and saturate, so that full-range weights can decide otherwise
    there.

    Args:
        model: The float model.
        calibration: Training images (n, 1, 8, 8).

    Returns:
        The int8 model, with the same input and output.

    Source:
        Jacob et al. (2018), equation 1.
    """
    source = opened(model.SerializeToString(), Options(name="float.onnx"))
    content = quantize(source, calibration, method="static", calibrate="minmax", reduce_range=True).content
    if content is None:
        raise InvalidInput(f"{source.name} was quantized without a file: method 'static' gives one")
    return onnx.load_model_from_string(content())


def _plain(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without the exporter's notes, which hold paths of the exporting machine."""
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    graph = plain.graph
    del graph.value_info[:]
    for part in (plain, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    used = {node.domain for node in graph.node}
    opsets = [opset for opset in plain.opset_import if opset.domain in used]
    del plain.opset_import[:]
    plain.opset_import.extend(opsets)
    onnx.checker.check_model(plain, full_check=True)
    return plain
