"""Weights at half size: float16 initialisers with casts, which ONNX Runtime folds when it loads the graph."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def halve_initialisers(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose large float32 initialisers (two axes or more) are float16, each behind a cast of its old name.

    Small ones (biases, normalisation) keep their precision: they cost nothing. A tensor with values beyond float16's
    range stays as it is.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    casts = []
    for initialiser in graph.initializer:
        if initialiser.data_type != TensorProto.FLOAT or len(initialiser.dims) < 2:
            continue
        values = numpy_helper.to_array(initialiser)
        if np.abs(values).max(initial=0.0) > np.finfo(np.float16).max:
            continue
        name = initialiser.name
        initialiser.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend(casts + nodes)
    return result
