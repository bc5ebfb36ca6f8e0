"""What a model costs: operations, parameters, memory, time."""

from robust.facade import lazy_names

__all__ = ["DeviceShare", "ModelCost", "cost", "cycles_per_macc", "device_share", "latency", "layer_latency"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "DeviceShare": "robust.costing.device",
        "ModelCost": "robust.costing.whole_model",
        "cost": "robust.costing.whole_model",
        "cycles_per_macc": "robust.costing.device",
        "device_share": "robust.costing.device",
        "latency": "robust.costing.timing",
        "layer_latency": "robust.costing.timing",
    },
)
