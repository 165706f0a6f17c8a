"""How good the network is on faces that it has not seen."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from openfer.learn.landmarks.faces import Faces
from openfer.learn.landmarks.loss import distances
from openfer.learn.landmarks.network import GOOD_FIT
from openfer.learn.landmarks.views import plain_views

BATCH = 128


def judge(network: nn.Module, faces: Faces, rows: NDArray[np.int64], nonfaces: Tensor) -> dict[str, float]:
    """Scores on framed faces.

    Args:
        network: a `LandmarkNet` in any mode; left in evaluation mode.
        faces: labelled faces.
        rows: those that are judged on.
        nonfaces: uint8 [M, SIDE, SIDE].

    Returns:
        `error`: mean distance to the teacher's answer on faces with a good fit, as a share of the outer eye distance;
        `good_fits` and `is_face`: area under the ROC curve of the quality, good fits against bad ones, faces against
        pictures that are none; nan where there are none to judge by.
    """
    network.eval()
    pictures = torch.from_numpy(faces.pictures[rows])
    labels = torch.from_numpy(faces.answers[rows, 0])
    good = faces.flip_errors[rows] < GOOD_FIT
    crops, shares = plain_views(pictures, labels)
    others, _ = plain_views(nonfaces, torch.zeros(len(nonfaces), 68, 2))
    parts = torch.split(torch.cat([crops, others]), BATCH)
    with torch.no_grad():
        answers = [network(part) for part in parts]
    points, _, flips = (torch.cat(part) for part in zip(*answers, strict=True))
    apart = distances(points[: len(rows)], shares).mean(1).numpy()
    quality = -flips.numpy()
    is_face = np.arange(len(quality)) < len(rows)
    return {
        "error": float(apart[good].mean()) if good.any() else float("nan"),
        "good_fits": auroc(good, quality[: len(rows)]),
        "is_face": auroc(is_face, quality),
    }


def auroc(truth: NDArray[np.bool_], score: NDArray[np.floating]) -> float:
    """Area under the ROC curve; nan where one of the two sides is empty."""
    return float(roc_auc_score(truth, score)) if 0 < truth.sum() < len(truth) else float("nan")
