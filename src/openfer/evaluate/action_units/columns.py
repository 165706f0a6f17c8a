"""Action units in a predictions file: what the model says, and the truth beside it.

`au_<number>` is the probability of a unit, empty in a row without an answer; `au_<number>_truth` its intensity as the
manifest has it, empty where it is unknown. Intensities are 0 to 1, presence 0 or 1, or FACS levels 0 to 5.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from openfer.errors import DataError
from openfer.evaluate.action_units.build import Judged, score_action_units
from openfer.evaluate.action_units.record import ActionUnitReport
from openfer.evaluate.action_units.statistics import Floats
from openfer.evaluate.predictions import Predictions, clusters_of
from openfer.labels import action_units
from openfer.vision.au_locations import AUS

PRESENT, PRESENT_LEVEL = 0.2, 2.0
"""A unit is there from this intensity on: a share, or a FACS level (2 is B, as papers on DISFA have it)."""

Units = Sequence[tuple[str, float]]
"""A cell of the manifest's `aus`: names and intensities."""


def unit_columns(probabilities: NDArray[np.floating], truth: Sequence[Units | None]) -> dict[str, pa.Array]:
    """Columns of a predictions file.

    Args:
        probabilities: [N, 17], in the order of `AUS`; NaN without an answer.
        truth: the manifest's cells, N.
    """
    known = [dict(cell or ()) for cell in truth]
    values = np.array([[row.get(name, np.nan) for name in action_units(*AUS)] for row in known], dtype=np.float64)
    columns = {f"au_{unit}": probabilities[:, place] for place, unit in enumerate(AUS)}
    known_units = np.flatnonzero(np.isfinite(values).any(axis=0)).tolist()
    columns |= {f"au_{AUS[place]}_truth": values[:, place] for place in known_units}
    return {name: pa.array(column.astype(np.float32), from_pandas=True) for name, column in columns.items()}


def judged_units(predictions: Predictions) -> Judged | None:
    """The action units of a predictions file to be judged, of rows that can be read; None where it has none."""
    names = predictions.table.column_names
    units = tuple(unit for unit in AUS if f"au_{unit}" in names and f"au_{unit}_truth" in names)
    rows = np.flatnonzero(predictions.usable)
    if not units or not len(rows):
        return None
    probabilities, values = (
        np.stack([_numbers(predictions, name.format(unit)) for unit in units], axis=1)[rows]
        for name in ("au_{}", "au_{}_truth")
    )
    if not (np.isfinite(probabilities).all(axis=1) & np.isfinite(values).any(axis=1)).any():
        return None
    resampled, clusters = clusters_of(predictions, rows)
    truth = predictions.column("truth")
    return Judged(
        units=units,
        probabilities=probabilities,
        values=values,
        present_from=PRESENT_LEVEL if np.nanmax(values) > 1 else PRESENT,
        expressions=[truth[row] for row in rows.tolist()],
        clusters=clusters,
        resampled=resampled,
    )


def unit_report(predictions: Predictions) -> ActionUnitReport:
    """Scores of the action units of a predictions file.

    Raises:
        DataError: no row has both an answer and a truth.
    """
    judged = judged_units(predictions)
    if judged is None:
        raise DataError("predictions: no row has action units as an answer and as truth; see its column 'status'")
    return score_action_units(judged)


def _numbers(predictions: Predictions, name: str) -> Floats:
    return np.asarray(predictions.table[name].cast(pa.float64()).to_numpy(), dtype=np.float64)
