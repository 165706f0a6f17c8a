"""The generated faces that come with the package."""

from __future__ import annotations

from openfer.data.manifest import Manifest, load_manifest


def mini_set() -> Manifest:
    """1,400 faces of 200 persons at 96 px, each person in one split (143, 29 and 28), with all that is known of them.

    The columns are those of `write_set`. In recipes and on the command line the word `mini` names this set, and
    `mini:COUNT` its first rows; a person has seven. `tools/make_mini_set.py` draws it.
    """
    return load_manifest("mini")
