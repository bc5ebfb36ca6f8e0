"""What fewer bits would cost: simulated widths, layer by layer and for the whole model."""

from robust.facade import lazy_names

__all__ = ["bit_width_sweep", "layer_sensitivity", "mixed_precision", "simulate_bits"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "bit_width_sweep": "robust.bitwidths.width_curves",
        "layer_sensitivity": "robust.bitwidths.one_layer",
        "mixed_precision": "robust.bitwidths.precision_mix",
        "simulate_bits": "robust.bitwidths.simulated_model",
    },
)
