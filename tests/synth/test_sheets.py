"""Sheets for people to look at."""

from __future__ import annotations

import numpy as np
import pytest

from openfer.synth.sheets import MARGIN, STEPS, contact_sheet, strip


def test_the_strip_has_a_row_for_two_units_and_a_column_for_each_intensity() -> None:
    sheet = strip(units=(1, 12, 26), size=48)
    assert sheet.size == (2 * len(STEPS) * 48, 2 * (48 + MARGIN))


def test_the_strip_goes_from_rest_to_full_action() -> None:
    pixels = np.asarray(strip(units=(12, 43), size=64)).astype(float)[MARGIN:]
    for first in (0, 5):
        cells = [pixels[:, 64 * (first + step) : 64 * (first + step + 1)] for step in range(5)]
        change = [np.abs(cell - cells[0]).mean() for cell in cells]
        assert (np.diff(change) > 0).all()
    assert np.abs(pixels[:, :64] - pixels[:, 320:384]).max() == 0  # both rest at intensity 0


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (4, 1), (5, 2)])
def test_a_contact_sheet_fills_its_rows(count: int, rows: int) -> None:
    pictures = [np.full((32, 32, 3), 40 * index, dtype=np.uint8) for index in range(count)]
    sheet = contact_sheet(pictures, [str(index) for index in range(count)], 4)
    assert sheet.size == (4 * 32, rows * (32 + MARGIN))
    assert (
        sheet.getpixel((32 * ((count - 1) % 4) + 16, (rows - 1) * (32 + MARGIN) + MARGIN + 16))
        == (40 * (count - 1),) * 3
    )
