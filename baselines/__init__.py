"""Baselines: what a model gains over a simple one."""

from robust.facade import lazy_names

__all__ = ["gain"]

__getattr__, __dir__ = lazy_names(__name__, {"gain": "robust.baselines.skill"})
