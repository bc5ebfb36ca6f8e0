"""What torch's operators cost: multiply-accumulates of those that multiply, and which of the others are free."""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from robust.costing.products import (
    attention_macc,
    convolution_macc,
    matrix_macc,
    recurrent_macc,
    transposed_convolution_macc,
)

Arguments = Mapping[str, Any]
Rule = Callable[[Arguments, Any], int]

#: Operators without products that bear no tag which says so: moves, selections, reductions, pooling, normalisation,
#: and what makes tensors from nothing. By name, without the namespace.
_FREE = """
_adaptive_avg_pool2d _adaptive_avg_pool3d _add_relu _assert_async _assert_tensor_metadata _embedding_bag
_embedding_bag_forward_only _functional_assert_async _local_scalar_dense _log_softmax _masked_scale
_native_batch_norm_legit _native_batch_norm_legit_functional _native_batch_norm_legit_no_training
_pack_padded_sequence _pad_packed_sequence _prelu_kernel _reshape_alias _safe_softmax _softmax _thnn_fused_gru_cell
_thnn_fused_lstm_cell _to_copy _unique _unique2 _unsafe_index _unsafe_index_put _unsafe_masked_index _unsafe_view
_upsample_bicubic2d_aa _upsample_bilinear2d_aa _upsample_nearest_exact1d _upsample_nearest_exact2d
_upsample_nearest_exact3d _weight_norm_interface abs adaptive_avg_pool1d adaptive_max_pool2d adaptive_max_pool3d addr
all allclose amax amin aminmax any arange argmax argmin argsort as_strided_scatter avg_pool2d avg_pool3d bernoulli
bincount block_diag bucketize cat cauchy channel_shuffle choose_qparams choose_qparams_symmetric clone col2im complex
constant_pad_nd copy copy_ copysign count_nonzero cummax cummin cumprod cumsum dequantize dequantize_per_channel
dequantize_per_tensor diag_embed diagonal_copy diagonal_scatter embedding empty empty_like empty_permuted
empty_strided eq equal exponential eye fake_quantize_per_channel_affine_cachemask
fake_quantize_per_tensor_affine_cachemask fill fill_ flip floor_divide fractional_max_pool2d full full_like gather gcd
ge gelu geometric glu grid_sampler_2d grid_sampler_3d gt hann_window hardswish heaviside histc im2col index index_add
index_copy index_fill index_put index_put_ index_reduce index_select int_repr is_same_size isin item kthvalue lcm le
lift lift_fresh lift_fresh_copy linspace log_normal log_sigmoid_forward logcumsumexp logspace logsumexp lt masked_fill
masked_fill_ masked_scatter masked_select max max_pool2d max_pool2d_with_indices max_pool3d_with_indices max_unpool2d
max_unpool3d mean median min mish mode multinomial nanmedian native_batch_norm native_channel_shuffle native_dropout
native_group_norm native_layer_norm ne new_empty new_empty_strided new_full new_ones new_zeros nonzero nonzero_static
norm normal normal_functional one_hot ones ones_like pad_sequence pixel_shuffle pixel_unshuffle poisson polar prod
q_scale q_zero_point quantize_per_channel quantize_per_tensor quantize_per_tensor_dynamic rand rand_like randint
randint_like randn randn_like randperm reflection_pad1d reflection_pad2d reflection_pad3d renorm repeat
repeat_interleave replication_pad1d replication_pad2d replication_pad3d resize resize_ roll rot90 rrelu_with_noise
rsub scalar_tensor scatter scatter_ scatter_add scatter_add_ scatter_reduce searchsorted select_scatter slice_scatter
sort split_copy split_with_sizes_copy stack std std_mean sum take threshold topk trace tril tril_indices triu
triu_indices unbind_copy unfold_copy uniform unique_consecutive unique_dim unsafe_split unsafe_split_with_sizes
upsample_bicubic2d upsample_bilinear2d upsample_linear1d upsample_nearest1d upsample_nearest2d upsample_nearest3d
upsample_trilinear3d var var_mean xlogy zero zero_ zeros zeros_like
"""
FREE = frozenset(_FREE.split())
#: Namespaces whose operators are known; any other is somebody's own.
KNOWN = frozenset({"aten", "prims", "prim", "quantized", "quantized_decomposed", "profiler"})
#: Those in which nothing multiplies: what compiled code is held together by, conversions, and marks for a profile.
_NO_WORK = ("prim", "quantized_decomposed", "profiler")
_FREE_TAGS = tuple(
    getattr(torch.Tag, name)
    for name in ("pointwise", "view_copy", "inplace_view", "reduction")
    if hasattr(torch.Tag, name)  # torch gains tags with time
)
#: Element by element in evaluation mode, though not tagged so: they may write over their input.
ELEMENTWISE = frozenset({"native_batch_norm", "_native_batch_norm_legit_no_training", "hardswish", "_prelu_kernel"})


def _matrix(left: str) -> Rule:
    """Matrix product whose left factor has the summed axis last."""
    return lambda given, result: matrix_macc(result.shape, given[left].shape[-1])


def _convolution(given: Arguments, result: Any) -> int:
    if given.get("transposed", False):
        return transposed_convolution_macc(given["weight"].shape, given["input"].shape)
    return convolution_macc(given["weight"].shape, result.shape)


def _attention(given: Arguments, _result: Any) -> int:
    return attention_macc(given["query"].shape, given["key"].shape, given["value"].shape)


def _mkldnn_layer(given: Arguments, _result: Any) -> int:
    """One direction of one LSTM layer."""
    steps, rows = given["input"].shape[:2]
    return recurrent_macc(given["weight0"].shape, given["weight1"].shape, steps=steps, rows=rows)


def _dot(given: Arguments, _result: Any) -> int:
    return int(given["self"].numel())


def _packed(given: Arguments, result: Any) -> int:
    """Quantized convolution or linear layer, whose weights are packed."""
    packed = given.get("packed_weight", given.get("W_prepack"))
    if packed is None:
        packed = given["packed_params"]
    weight = packed.unpack()[0]
    return convolution_macc(tuple(weight.shape), tuple(result.shape))


_QUANTIZED = {
    f"quantized::{name}": _packed
    for name in (
        *("linear", "linear_relu", "linear_leaky_relu", "linear_tanh", "linear_dynamic", "linear_relu_dynamic"),
        *(f"conv{axes}d{relu}" for axes in (1, 2, 3) for relu in ("", "_relu")),
    )
}
#: Multiply-accumulates by the operator's qualified name.
RULES: Mapping[str, Rule] = {
    "aten::convolution": _convolution,
    "aten::convolution_overrideable": _convolution,
    "aten::_convolution": _convolution,
    "aten::mkldnn_convolution": _convolution,
    "aten::linear": _matrix("input"),
    "aten::matmul": lambda given, result: matrix_macc(result.shape, given["self"].shape[-1]),
    "aten::mm": _matrix("self"),
    "aten::bmm": _matrix("self"),
    "aten::mv": _matrix("self"),
    "aten::addmm": _matrix("mat1"),
    "aten::_addmm_activation": _matrix("mat1"),
    "aten::addmv": _matrix("mat"),
    "aten::baddbmm": _matrix("batch1"),
    "aten::addbmm": lambda given, _result: given["batch1"].numel() * given["batch2"].shape[-1],
    "aten::dot": _dot,
    "aten::vdot": _dot,
    "aten::_int_mm": _matrix("self"),
    "aten::_scaled_mm": _matrix("self"),
    "aten::_weight_int8pack_mm": _matrix("self"),
    "aten::_weight_int4pack_mm_for_cpu": _matrix("self"),
    "aten::_weight_int4pack_mm": _matrix("self"),
    "aten::mkldnn_rnn_layer": _mkldnn_layer,
    "aten::scaled_dot_product_attention": _attention,
    "aten::_scaled_dot_product_flash_attention": _attention,
    "aten::_scaled_dot_product_flash_attention_for_cpu": _attention,
    "aten::_scaled_dot_product_efficient_attention": _attention,
    "aten::_scaled_dot_product_cudnn_attention": _attention,
    "aten::_scaled_dot_product_fused_attention_overrideable": _attention,
    **_QUANTIZED,
}


def arguments(operator: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a call by the names of the operator's schema."""
    names = [argument.name for argument in operator._schema.arguments]
    return dict(zip(names, args, strict=False)) | dict(kwargs)


def rule_of(operator: Any) -> Rule | None:
    """How an operator is counted, also where it works in place; None where it is no product."""
    name = str(operator._schema.name)
    return RULES.get(name) or RULES.get(name.removesuffix("_"))


def is_free(operator: Any) -> bool:
    """Whether an operator is known to do no product that counts: by its tags, as a view, or by name."""
    namespace, _, name = operator._schema.name.partition("::")
    if namespace not in KNOWN:
        return False
    if any(tag in operator.tags for tag in _FREE_TAGS):
        return True
    views = any(value.alias_info is not None and not value.alias_info.is_write for value in operator._schema.returns)
    return views or name in FREE or name.removesuffix("_") in FREE or namespace in _NO_WORK


def is_elementwise(operator: Any) -> bool:
    """Whether an operator may write over its input."""
    return torch.Tag.pointwise in operator.tags or operator._schema.name.partition("::")[2] in ELEMENTWISE
