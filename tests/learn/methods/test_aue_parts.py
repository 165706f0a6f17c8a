"""The parts of `aue` one by one: how they begin, what half precision and unknown landmarks do, the authors' sizes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from openfer.errors import ConfigError
from openfer.labels import LABEL_SETS, LabelSet
from openfer.learn.method import build_method
from openfer.learn.methods.aue.branches import Decoder, Fusion, GlobalBranch, response_norm
from openfer.learn.methods.aue.knowledge import is_compound, knowledge_of
from openfer.learn.methods.aue.losses import agreement, bounded
from openfer.learn.methods.aue.method import AueMethod
from openfer.learn.methods.aue.network import Table, has_landmarks, moves
from openfer.learn.methods.aue.windows import WINDOWS, WindowNetworks, au_centres
from openfer.learn.recipe import MethodChoice
from openfer.vision.mean_face import mean_face


def fusion(window: int = 32, pairing: str = "intended", dropout: float = 0.0) -> Fusion:
    torch.manual_seed(0)
    return Fusion(
        feature=8,
        window=window,
        width=12,
        units=17,
        classes=7,
        attention="softmax",
        pairing=pairing,  # type: ignore[arg-type]
        dropout=dropout,
    )


def method(**options: object) -> AueMethod:
    made = build_method(MethodChoice(name="aue", options=options))
    assert isinstance(made, AueMethod)
    return made


def test_the_authors_numbers_are_the_defaults() -> None:
    options = vars(method().options)
    assert options == {
        "feature": 1024,
        "decoder": 64,
        "window": 256,
        "window_net": "full",
        "fusion": 1024,
        "dropout": 0.5,
        "attention": "auto",
        "learn_table": True,
        "dependency": 0.5,
        "fusion_dependency": 0.05,
        "table_weight": 1.0,
        "soft_targets": True,
        "expression_epochs": "none",
        "unit_epochs": "none",
        "fusion_epochs": "none",
    }


def test_epochs_and_the_table_can_be_set_for_each_stage() -> None:
    assert [stage.epochs for stage in method().stages()] == [None, None, None]
    made = method(expression_epochs=5, unit_epochs=4, fusion_epochs=3, learn_table=False)
    assert [stage.epochs for stage in made.stages()] == [5, 4, 3]
    assert ["knowledge" in stage.frozen for stage in made.stages()] == [True, True, True]
    assert ["knowledge" in stage.frozen for stage in method().stages()] == [True, False, True]


@pytest.mark.parametrize(
    ("given", "answered"),
    [(torch.bfloat16, torch.float32), (torch.float32, torch.float32), (torch.float64, torch.float64)],
)
def test_the_normalisation_is_never_of_half_precision(given: torch.dtype, answered: torch.dtype) -> None:
    x = torch.linspace(-3, 3, 24, dtype=given).view(1, 6, 2, 2)
    assert response_norm(x).dtype == answered


@pytest.mark.parametrize(("kind", "inputs"), [("fusion", 64), ("full", 9 * 6 * 6), ("pooled", 9)])
def test_layers_side_by_side_begin_as_single_ones(kind: Any, inputs: int) -> None:
    torch.manual_seed(0)
    part = fusion() if kind == "fusion" else WindowNetworks(9, 16, 40, kind, 0.0)
    assert part.weight.shape[2] == inputs
    bound = inputs**-0.5
    for values in (part.weight, part.bias):
        assert 0.95 * bound < values.max() <= bound
        assert -bound <= values.min() < -0.95 * bound


def test_the_attention_begins_above_zero_unless_released() -> None:
    assert fusion().agree.bias.tolist() == [1.0]
    assert fusion(pairing="released").agree.bias.abs() < 12**-0.5


def test_dropout_falls_in_training_alone() -> None:
    torch.manual_seed(0)
    networks = WindowNetworks(3, 16, 8, "pooled", 0.5)
    maps, centres = torch.rand(2, 3, 16, 16), torch.full((2, WINDOWS, 2), 8)
    assert torch.equal(networks.eval()(maps, centres), networks(maps, centres))
    networks.train()
    assert not torch.equal(networks(maps, centres), networks(maps, centres))
    part, feature, windows = fusion(dropout=0.5), torch.rand(4, 8), torch.rand(4, WINDOWS, 32)
    assert torch.equal(part.eval()(feature, windows)[0], part(feature, windows)[0])
    assert not torch.equal(part.train()(feature, windows)[0], part(feature, windows)[0])


def test_branches_have_the_sizes_that_they_are_given() -> None:
    levels = [torch.rand(2, 2 << step, 16 >> step, 16 >> step) for step in range(4)]
    channels = [level.shape[1] for level in levels]
    assert GlobalBranch(channels, 5)(levels).shape == (2, 5)
    decoder = Decoder(channels, 3)
    assert decoder(levels).shape == (2, 3, 16, 16)
    with pytest.raises(ValueError, match="zip"):
        decoder([torch.rand(2, 1, 32, 32), *levels])
    convolutions = [one for one in decoder.modules() if isinstance(one, nn.Conv2d | nn.ConvTranspose2d)]
    assert all(one.bias is None for one in convolutions)


def test_windows_of_unknown_landmarks_lie_in_the_middle() -> None:
    points = torch.tensor(mean_face("fer2013"), dtype=torch.float32).repeat(2, 1, 1)
    points[1] = torch.nan
    centres = au_centres(points, 56)
    assert centres.shape == (2, WINDOWS, 2)
    assert centres.dtype == torch.int64
    assert (centres[1] == 28).all()
    assert (centres[0] != 28).any()
    assert has_landmarks(points).tolist() == [True, False]
    points[0, 3, 1] = torch.nan  # one point is enough
    assert has_landmarks(points).tolist() == [False, False]


def test_windows_never_leave_the_map() -> None:
    for side in (16, 24, 56, 112):
        half = side * 24 // 56 // 2
        corners = torch.stack([torch.full((68, 2), share) for share in (-0.5, 0.0, 1.0, 1.5)])
        centres = au_centres(corners, side)
        assert centres.flatten(1).amin(1).tolist() == centres.flatten(1).amax(1).tolist()
        assert centres[:, 0, 0].tolist() == [half, half, side - half, side - half]


@pytest.mark.parametrize("side", [2, 4, 8, 32])
def test_maps_whose_windows_cannot_be_halved_are_refused(side: int) -> None:
    with pytest.raises(ConfigError, match=f"a map of {side} cells has windows of {side * 24 // 56}, expected an even"):
        WindowNetworks(2, side, 2, "full", 0.0)


def test_the_smallest_window_has_two_cells() -> None:
    assert WindowNetworks(2, 5, 2, "full", 0.0).size == 2


def test_pooled_windows_forget_where_something_is() -> None:
    torch.manual_seed(0)
    networks = WindowNetworks(2, 16, 4, "pooled", 0.0).eval()
    with torch.no_grad():
        networks.convolution.weight.zero_()
        networks.convolution.weight[:, :, 1, 1] = 1
    centres = torch.full((1, WINDOWS, 2), 8)
    left, right = torch.zeros(2, 1, 2, 16, 16)
    left[0, 0, 8, 6], right[0, 0, 8, 9] = 1.0, 1.0
    torch.testing.assert_close(networks(left, centres), networks(right, centres))
    cells = torch.relu(networks.convolution(torch.ones(1, WINDOWS * 2, 6, 6))).mean((2, 3)).view(1, WINDOWS, 2)
    wanted = torch.relu(torch.einsum("bvi,voi->bvo", cells, networks.weight) + networks.bias)
    torch.testing.assert_close(networks(torch.ones(1, 2, 16, 16), centres), wanted)
    assert networks.weight.numel() == WINDOWS * 4 * 2
    full = WindowNetworks(2, 16, 4, "full", 0.0).eval()
    assert not torch.allclose(full(left, centres), full(right, centres))


def test_the_start_of_the_table_is_kept_and_the_kinds_are_not() -> None:
    table = Table(knowledge_of(LABEL_SETS["basic7"]))
    assert set(table.state_dict()) == {"table", "start"}
    assert torch.equal(table.table, table.knowledge.start)
    with torch.no_grad():
        table.table.add_(1)
    assert not torch.equal(table.table, table.knowledge.start)
    for kind in ("primary", "secondary", "other", "known"):
        assert torch.equal(getattr(table.knowledge, kind), getattr(knowledge_of(LABEL_SETS["basic7"]), kind))


def test_a_class_that_nobody_knows_has_no_action_units() -> None:
    knowledge = knowledge_of(LabelSet("own", ("happiness", "bored")))
    assert knowledge.known.tolist() == [True, False]
    assert knowledge.other[1].all()
    assert not is_compound(LabelSet("own", ("happily_surprised", "bored")))
    assert bounded(knowledge.start, knowledge)[1].max() == pytest.approx(0.1)


def test_something_moves_where_one_parameter_does() -> None:
    part = nn.Linear(2, 2)
    assert moves(part)
    part.weight.requires_grad_(False)
    assert moves(part)
    part.requires_grad_(False)
    assert not moves(part)


def test_agreement_counts_a_half_as_shown() -> None:
    scores = torch.tensor([[0.5, 0.4, 0.9], [0.6, 0.5, 0.1]])
    target = torch.tensor([[0.5, 0.6, 0.2], [0.4, 0.5, 0.0]])
    assert agreement(scores, target).tolist() == [0.5, 0.5, 0.5]
