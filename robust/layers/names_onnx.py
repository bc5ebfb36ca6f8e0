"""What an ONNX operator's layer is called: as in the torch module that the file is compared with, where one is."""

import re
from collections.abc import Collection, Sequence
from typing import Any

from robust.layers.flow_onnx import Flow
from robust.models.layer_names import layer_of, module_of, stored_name

#: What optimizers put before a stored tensor's name.
_PREFIXES = ("ConvBnFusion_W_", "ConvBnFusion_BN_B_", "ConvMulFusion_W_")
_ROOT = "(root)."
#: What the tracing exporter appends to a module's name at its second call.
_AGAIN = re.compile(r"_\d+$")


def name_of(flow: Flow, node: Any, place: int, stored: Sequence[str], modules: Collection[str]) -> tuple[str, bool]:
    """Name of the layer of an operator, and whether it is more than the operator's own.

    Args:
        flow: The graph.
        node: The operator.
        place: Its position, for operators without a name.
        stored: Names of the stored tensors that it reads; its weight before its bias.
        modules: Names of the layers of the torch module that the file is compared with; none of another file.

    Returns:
        That of one of these modules where the exporter's notes or a weight's name tell it; else the module's of the
        weights, or of the notes where the weight has several users, so that its name says only whose it is; else the
        weight's own where the exporter has noted that no module lies around.
    """
    originals = [_original(name) for name in stored]
    plain = [stored_name(name) for name in originals]
    noted, _ = layer_of(node, place, ())
    known = [one for name in plain for one in (name, f"{_ROOT}{name}") if one in modules]
    called = [one for one in (noted, _AGAIN.sub("", noted)) if one in modules]
    if called or known:
        return (called or known)[0], True
    name, _ = layer_of(node, place, originals)
    own = (node.name, node.name.removeprefix("/"), f"{node.op_type}_{place}")
    weights = [one for one in plain if module_of(one) is not None]
    if weights and weights[0] in flow.shared and node.metadata_props and noted not in own:
        return noted, True
    if name in own and node.metadata_props:
        name = next((one for one in plain if "." in one and one in flow.matrices), name)
    return name, name not in own


def _original(name: str) -> str:
    """A stored tensor's name before an optimizer folded a normalisation into it.

    >>> _original("ConvBnFusion_W_body.0.weight")
    'body.0.weight'
    """
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name


def plain_name(name: str) -> str:
    """A tensor's name without what quantizers append.

    Args:
        name: In the file.

    >>> plain_name("relu_QuantizeLinear_Output"), plain_name("relu_quantized")
    ('relu', 'relu')
    """
    for ending in ("_QuantizeLinear_Output", "_DequantizeLinear_Output", "_QuantizeLinear_Input", "_quantized"):
        name = name.removesuffix(ending)
    return name
