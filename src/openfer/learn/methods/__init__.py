"""The project's own methods: a folder each. Importing a folder's `method` registers it."""

from __future__ import annotations

from openfer.learn.methods.baseline import method as baseline

__all__ = ["baseline"]
