"""Heads for people with a training loop of their own: feature map in, logits out. Needs `pip install openfer[train]`.

Names are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from openfer.lazy import lazily

if TYPE_CHECKING:
    from openfer.learn.heads.amending import AmendingGeometry as AmendingGeometry
    from openfer.learn.heads.amending import AmendingHead as AmendingHead
    from openfer.learn.heads.amending import amending_geometry as amending_geometry
    from openfer.learn.heads.class_maps import class_maps as class_maps
    from openfer.learn.heads.embeddings import ParallelEmbeddings as ParallelEmbeddings

_HOMES = {
    "AmendingGeometry": "openfer.learn.heads.amending",
    "AmendingHead": "openfer.learn.heads.amending",
    "ParallelEmbeddings": "openfer.learn.heads.embeddings",
    "amending_geometry": "openfer.learn.heads.amending",
    "class_maps": "openfer.learn.heads.class_maps",
}
__all__ = [*_HOMES]
__getattr__, __dir__ = lazily(__name__, _HOMES, torch=True)
