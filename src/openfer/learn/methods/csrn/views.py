"""A face, its eyes and its mouth, each enlarged to the encoder's size: cut inside the network, so that training and use
see the same pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from openfer.records import Box
from openfer.vision.patches import REGIONS

WHOLE = Box(x=0.0, y=0.0, w=1.0, h=1.0)
FACE, EYES, MOUTH = "face", "eyes", "mouth"


def view_names(patches: bool) -> tuple[str, ...]:
    """The branches in order: the face, and with patches the eyes and the mouth."""
    return (FACE, EYES, MOUTH) if patches else (FACE,)


def cut_views(image: Tensor, side: int, *, patches: bool) -> Tensor:
    """The branches' pictures.

    Args:
        image: [N, C, S, S].
        side: of the views, pixels.
        patches: the eyes and the mouth, too.

    Returns:
        [V, N, C, side, side], V = 3 or 1, linear interpolation; proportions are not kept.
    """
    boxes = (WHOLE, *(REGIONS[name] for name in (EYES, MOUTH) if patches))
    return torch.stack([_resized(image, box, side) for box in boxes])


def _resized(image: Tensor, box: Box, side: int) -> Tensor:
    size = image.shape[-1]
    top, bottom, left, right = (round(share * size) for share in (box.y, box.y + box.h, box.x, box.x + box.w))
    part = image[:, :, top:bottom, left:right]
    shrinks = part.shape[-1] > side  # no region is taller than wide
    return F.interpolate(part, size=(side, side), mode="bilinear", align_corners=False, antialias=shrinks)
