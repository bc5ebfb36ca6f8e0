"""What all tests share."""

import pytest

pytest_plugins = ["pytester"]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report):
    """Comparisons in these tests are examples: the plugin judges their use, but they fill no closing table."""
    report.user_properties = [pair for pair in report.user_properties if pair[0] != "robust_gate"]


def pytest_make_parametrize_id(val, argname):
    """Name bytes after their argument: packed files carry a time, and every worker must collect alike."""
    return argname if isinstance(val, bytes) else None
