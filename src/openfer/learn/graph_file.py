"""An ONNX graph on disk: one file, or two where one would be too large."""

from __future__ import annotations

from math import prod
from pathlib import Path

import onnx
from onnx import helper
from onnx.external_data_helper import set_external_data

LARGEST = 2**31 - 2**24
"""Bytes of weights that go into the graph's own file: a protobuf message holds less than 2 GiB, the nodes included."""
INSIDE = 1024
"""Tensors of fewer bytes, such as the classifier's bias, stay in the graph, so that its hash tells models apart."""


def write_graph(model: onnx.ModelProto, path: Path) -> tuple[str, ...]:
    """Write a graph, its large tensors into `NAME.data` beside it where one file would be too large.

    Args:
        model: the graph; its large tensors are moved out of it in that case.
        path: of the graph's file; files from before are replaced.

    Returns:
        names of the files, the graph's own first.
    """
    data = path.with_name(f"{path.name}.data")
    data.unlink(missing_ok=True)  # onnx would add to it
    sizes = {value.name: _bytes_of(value) for value in model.graph.initializer}
    if sum(sizes.values()) <= LARGEST:
        path.write_bytes(model.SerializeToString())
        return (path.name,)
    for value in model.graph.initializer:
        if sizes[value.name] >= INSIDE and value.HasField("raw_data"):
            set_external_data(value, data.name)
    onnx.save_model(model, path)
    return (path.name, data.name)


def _bytes_of(value: onnx.TensorProto) -> int:
    return int(prod(value.dims)) * int(helper.tensor_dtype_to_np_dtype(value.data_type).itemsize)
