"""Speed against public tools, as ratios in one process; `python -m benchmarks` prints the table."""
