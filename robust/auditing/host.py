"""What is known about the machine: answers of quantized models differ between processors."""

import platform
from importlib.metadata import PackageNotFoundError, version

from robust.models.host_facts import processor
from robust.record.shape import Host

_PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "onnxruntime", "onnx")


def describe_host() -> Host:
    """This host, from what the system says without asking the network."""
    name, features = processor()
    return Host(
        python=platform.python_version(),
        platform=platform.platform(terse=True),
        processor=name or platform.processor() or platform.machine(),
        cpu_features=features,
        packages=tuple((name, found) for name in _PACKAGES if (found := _version(name)) is not None),
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
