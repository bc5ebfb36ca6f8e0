"""What all tests share."""

import pytest
from hypothesis import HealthCheck, settings

# Hypothesis reads the constants of all local modules at its first draw: a second on a busy machine, and no fault of the
# drawing.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

pytest_plugins = ["pytester"]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report):
    """Comparisons in these tests are examples: the plugin judges their use, but they fill no closing table."""
    report.user_properties = [pair for pair in report.user_properties if pair[0] != "robust_gate"]


def pytest_make_parametrize_id(val, argname):
    """Name bytes after their argument: packed files carry a time, and every worker must collect alike."""
    return argname if isinstance(val, bytes) else None
