"""Pictures as addresses that hold them, so that a page needs nothing beside itself."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def address(picture: NDArray[np.uint8], side: int) -> str:
    """A picture as an address: a JPEG, grey where it is grey, reduced where it is large.

    Args:
        picture: uint8 [H, W, 3].
        side: pixels of the longer side, at most.
    """
    grey = (picture == picture[:, :, :1]).all()
    image = Image.fromarray(picture[:, :, 0] if grey else picture)
    image.thumbnail((side, side))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def png_address(content: bytes) -> str:
    """The bytes of a PNG file as an address."""
    return "data:image/png;base64," + base64.b64encode(content).decode()
