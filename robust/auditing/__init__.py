"""The audit: finds the checks, runs those that apply, keeps what was measured."""
