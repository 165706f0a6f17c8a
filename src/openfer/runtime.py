"""ONNX Runtime sessions: the one place where they are made."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from openfer.errors import ConfigError, ModelError, reason

if TYPE_CHECKING:
    import onnxruntime


def thread_count(threads: int | None) -> int:
    """How many threads a session may use: the given number, or what this process may run on.

    Raises:
        ConfigError: fewer than one.
    """
    if threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if threads < 1:
        raise ConfigError(f"threads: expected 1 or more, got {threads}")
    return threads


def session(model: bytes | Path, *, threads: int | None = None) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session on the CPU.

    Args:
        model: a serialised graph, or the path of one.
        threads: upper bound of threads; None for all that this process may use.

    Raises:
        ModelError: the graph cannot be loaded.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = thread_count(threads)
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning threads would burn the cores that decode the next pictures.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        source = model if isinstance(model, bytes) else str(model)
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises a family of its own, some of it plain RuntimeError
        name = "graph in memory" if isinstance(model, bytes) else str(model)
        raise ModelError(f"{name}: ONNX Runtime cannot load it ({reason(error)})") from error
