"""A folder of overlays: each photo with its faces marked, under a name of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, count
from pathlib import Path

from PIL import Image

from openfer.errors import DataError
from openfer.files import replacing
from openfer.predict.overlay import draw
from openfer.records import UNREADABLE, Prediction
from openfer.vision.image import read_image

JPEG = (".jpg", ".jpeg")


class OverlayFolder:
    """Writes overlays into one folder; photos of the same name in different folders get different names.

    Args:
        folder: made if missing.

    Raises:
        DataError: the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._used: set[str] = set()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{folder}: cannot be made into a folder ({error.strerror or error})") from error

    def write(self, path: Path, predictions: Sequence[Prediction]) -> Path | None:
        """Draw one photo: a JPEG stays a JPEG, anything else becomes a PNG.

        Returns:
            The overlay's path; None for a photo that cannot be read.

        Raises:
            DataError: the overlay cannot be written.
        """
        if any(row.status.startswith(UNREADABLE) and row.found is None for row in predictions):
            return None
        try:
            overlay = Image.fromarray(draw(read_image(path), predictions))
        except DataError:  # gone since it was read
            return None
        target = self.folder / self._free_name(path)
        with replacing(target) as beside:
            if target.suffix in JPEG:
                overlay.save(beside, format="JPEG", quality=92, subsampling=0)
            else:
                overlay.save(beside, format="PNG")
        return target

    def _free_name(self, path: Path) -> str:
        # Never the photo's own name: in its own folder the overlay would replace it.
        ending = f"-faces{'.jpg' if path.suffix.lower() in JPEG else '.png'}"
        stem, parent = (part.encode("utf-8", "replace").decode()[:40] for part in (path.stem, path.parent.name))
        for name in chain((stem, f"{parent}-{stem}"), _numbered(stem)):
            if f"{name}{ending}".casefold() not in self._used:
                self._used.add(f"{name}{ending}".casefold())
                return f"{name}{ending}"
        raise AssertionError("numbers do not end")


def _numbered(stem: str) -> Iterator[str]:
    return (f"{stem}-{number}" for number in count(2))
