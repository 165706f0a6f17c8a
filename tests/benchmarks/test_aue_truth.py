"""The benchmark of action units against the truth: its arms share a stage, finished ones are kept, tables are whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aue_truth
import aue_truth_tables as tables
import numpy as np
import pytest
from safetensors.torch import load_file

from openfer.data.manifest import load_manifest
from openfer.learn.method import METHODS


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    light = {name: dict(section) for name, section in aue_truth.LIGHT.items()}
    light["method"] |= {"feature": 16, "decoder": 4, "window": 4, "fusion": 8, "window_net": "pooled"}
    light["backbone"] = {"name": "test_resnet", "size": 64}
    monkeypatch.setattr(aue_truth, "LIGHT", light)
    arms = {name: aue_truth.ARMS[name] for name in (aue_truth.LEARNED, aue_truth.PAIRING, aue_truth.SUPERVISED)}
    monkeypatch.setattr(aue_truth, "ARMS", arms)
    yield
    METHODS.pop(aue_truth.METHOD, None)


def same(one: dict[str, Any], other: dict[str, Any], *prefixes: str) -> bool:
    names = [name for name in one if name.startswith(prefixes)]
    return bool(names) and all(np.array_equal(one[name].numpy(), other[name].numpy()) for name in names)


@pytest.mark.usefixtures("small")
def test_arms_share_their_stages_and_finished_ones_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- benchmark aue_truth -->\nbygone\n<!-- end aue_truth -->\nafter\n")
    call = ["--folder", str(tmp_path), "--count", "49", "--seeds", "1", "--epochs", "1", "1", "1", "--draws", "20"]
    call += ["--workers", "1", "--page", str(page)]
    aue_truth.main(call)
    home = tmp_path / "49-1-1-1" / "seed0"
    expression, learned, pairing, true = (
        load_file(home / name / "best.safetensors")
        for name in ("expression", "learned_table", "released_pairing", "true_action_units")
    )
    assert same(expression, learned, "backbone.", "face.")
    assert not same(expression, learned, "units.")
    assert same(learned, pairing, "backbone.", "face.", "decoder.", "windows.", "units.")
    assert not same(learned, true, "units.")
    assert same(expression, true, "knowledge.")
    text = page.read_text()
    assert text.startswith("before\n<!-- benchmark aue_truth -->\n7 faces of 1 people")
    assert "bygone" not in text
    assert text.endswith("<!-- end aue_truth -->\nafter\n")
    assert "| true action units | " in text
    monkeypatch.setattr(aue_truth, "train", lambda *_, **__: pytest.fail("trained again"))
    aue_truth.main(call)
    assert capsys.readouterr().out.count("| 12 lip corner puller |") == 2


def test_tables_say_what_the_answers_are_worth() -> None:
    faces = load_manifest("mini:147")
    values = aue_truth.intensities(faces)
    split = np.array(faces.column("split"))
    rows = {name: np.flatnonzero(split == name) for name in ("validation", "test")}
    rng = np.random.default_rng(0)

    def answers(know: float) -> dict[str, np.ndarray]:
        found = {f"{name}_rows": chosen for name, chosen in rows.items()}
        for name, chosen in rows.items():
            noise = rng.uniform(size=values[chosen].shape)
            found[f"{name}_aus"] = found[f"{name}_attention"] = know * values[chosen] + (1 - know) * noise
        return found | {"test_logits": np.eye(7)[faces.label_indices()[rows["test"]]]}

    found = {"knows": [answers(1.0)] * 2, "guesses": [answers(0.0), answers(0.0)]}
    text = tables.markdown(found, faces, values, pairing="none", command="the command", draws=50)
    knows, guesses = (next(line for line in text.splitlines() if line.startswith(f"| {arm} |")) for arm in found)
    cells = [cell.strip() for cell in knows.split("|")]
    assert cells[4].startswith("1.000 [1.000, 1.000]")
    assert cells[-2] == "100.0 %, 100.0 %"
    assert abs(float(guesses.split("|")[4].split("[")[0]) - 0.5) < 0.1
    alone = next(line for line in text.splitlines() if line.startswith(f"| {tables.ALONE} |"))
    assert "0.500 [0.500, 0.500]" in alone
    assert text.endswith("Written by `the command`.")
    assert "nan" not in text
