"""What is known about the machine: answers of quantized models differ between processors."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from robust.record.shape import Host

_PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "onnxruntime", "onnx")
#: Instruction sets that change the kernels which int8 and float models run on.
_FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "amx_bf16", "asimd", "asimddp", "i8mm", "sve")


def describe_host() -> Host:
    """This host, from what the system says without asking the network."""
    processor, flags = _processor()
    return Host(
        python=platform.python_version(),
        platform=platform.platform(terse=True),
        processor=processor or platform.processor() or platform.machine(),
        cpu_features=tuple(feature for feature in _FEATURES if feature in flags),
        packages=tuple((name, found) for name in _PACKAGES if (found := _version(name)) is not None),
    )


def _processor() -> tuple[str, frozenset[str]]:
    """Model name and flags from /proc/cpuinfo, where there is one."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "", frozenset()
    table = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = table.get("flags") or table.get("Features") or ""
    return table.get("model name", ""), frozenset(flags.split())


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
