"""Predictions of several models become a comparison. No model and no picture is needed: any predictions will do."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from itertools import combinations

import numpy as np

from openfer import __version__
from openfer.data.pictures import Progress
from openfer.errors import ConfigError, did_you_mean
from openfer.evaluate.comparison.match import Matched, match
from openfer.evaluate.comparison.record import ALPHA, MCNEMAR, SIGN_FLIP, Comparison, ModelScores, Pair
from openfer.evaluate.comparison.words import TITLES, conclusion, notes
from openfer.evaluate.intervals import DRAWS, Indices, Interval
from openfer.evaluate.paired import CALIBRATION, Resampled, holm, mcnemar, only_one, paired_bootstrap, sign_flip
from openfer.evaluate.predictions import Predictions

MIN_DRAWS, MAX_DRAWS = 1000, 100_000
COMPARED = tuple(name for name in TITLES if name != CALIBRATION)
"""Scores whose differences are reported."""


def compare_predictions(
    files: Mapping[str, Predictions],
    *,
    baseline: str | None = None,
    labels: str = "same",
    draws: int = DRAWS,
    seed: int = 0,
    paths: Mapping[str, str] | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> Comparison:
    """Compare models on the rows that all of them judge.

    Scores and differences have percentile intervals over the same resampled rows, people or clips. The difference in
    accuracy is tested: by McNemar's exact test, or by the sign-flip test over people or clips where rows belong to
    those; p is corrected for the number of pairs by Holm's method, intervals are not.

    Args:
        files: model name -> predictions, two or more.
        baseline: the model that all others are compared with; None for all pairs.
        labels: `same` or `intersection`, as in `match`.
        draws: number of resampled data sets, `MIN_DRAWS` to `MAX_DRAWS`.
        seed: of the resampling, 0 or more.
        paths: model name -> its file, to be kept with the numbers.
        command: the command to be kept with the numbers.
        progress: called while the resampling goes on.

    Raises:
        ConfigError: fewer than two models, an unknown baseline or rule, or draws or seed out of range.
        DataError: what `match` refuses.
    """
    names = tuple(files)
    if len(names) < 2:
        raise ConfigError(f"compare: expected two or more predictions files, got {len(names)}")
    if baseline is not None and baseline not in names:
        raise ConfigError(f"--baseline '{baseline}': not one of the models; {did_you_mean(baseline, names)}")
    if not MIN_DRAWS <= draws <= MAX_DRAWS:
        raise ConfigError(f"--draws {draws}: expected {MIN_DRAWS} to {MAX_DRAWS}")
    if seed < 0:
        raise ConfigError(f"--seed {seed}: expected 0 or more")
    matched = match(files, labels)
    rng = np.random.default_rng(seed)
    scores = paired_bootstrap(
        matched.truth, matched.probabilities, rng, clusters=matched.clusters, draws=draws, progress=progress
    )
    contexts = {name: file.context for name, file in files.items()}
    known = [context for context in contexts.values() if context.manifest]
    manifests = {context.manifest for context in known}
    return Comparison(
        models=tuple(
            ModelScores(
                name=name,
                file=(paths or {}).get(name, ""),
                model_sha256=contexts[name].model_sha256,
                selection=contexts[name].selection,
                rows=len(files[name]),
                judged=matched.judged[place],
                scores={score: scores.score(score, place) for score in TITLES},
            )
            for place, name in enumerate(names)
        ),
        pairs=_pairs(matched, scores, names, baseline),
        baseline=baseline or "",
        labels=matched.labels.names,
        left_out_labels=matched.left_out_labels,
        rows=matched.rows,
        used=len(matched.truth),
        left_out=matched.left_out,
        splits=matched.splits,
        manifest=manifests.pop() if len(manifests) == 1 else "",
        layout=known[0].layout if known else "",
        rule=known[0].rule if known else "",
        test=MCNEMAR if matched.clusters is None else SIGN_FLIP,
        resampled=matched.resampled,
        clusters=len(matched.truth) if matched.clusters is None else int(matched.clusters.max()) + 1,
        draws=draws,
        seed=seed,
        notes=notes(matched, contexts),
        command=command,
        versions={"openfer": __version__, "python": platform.python_version(), "numpy": version("numpy")},
    )


def _pairs(matched: Matched, scores: Resampled, names: tuple[str, ...], baseline: str | None) -> tuple[Pair, ...]:
    places = range(len(names))
    if baseline is None:
        chosen = list(combinations(places, 2))
    else:
        chosen = [(place, names.index(baseline)) for place in places if names[place] != baseline]
    predicted = matched.probabilities.argmax(axis=2)
    pairs = [
        _pair(
            (names[first], names[second]),
            {score: scores.difference(score, first, second) for score in COMPARED},
            predicted[[first, second]],
            matched,
        )
        for first, second in chosen
    ]
    corrected = holm(np.array([pair.p for pair in pairs])).tolist()
    return tuple(_judged(pair, p, len(pairs), len(matched.truth)) for pair, p in zip(pairs, corrected, strict=True))


def _pair(names: tuple[str, str], differences: Mapping[str, Interval], predicted: Indices, matched: Matched) -> Pair:
    """Two models' numbers, before p is corrected; `predicted` is [2, N]."""
    right = predicted == matched.truth
    only_first, only_second = only_one(right)
    independent, clustered = mcnemar(only_first, only_second), None
    if matched.clusters is not None:
        gain = right[0].astype(np.float64) - right[1]
        clustered = sign_flip(np.bincount(matched.clusters, weights=gain).round().astype(np.int64))
    p = independent if clustered is None else clustered
    return Pair(
        first=names[0],
        second=names[1],
        differences=differences,
        only_first=only_first,
        only_second=only_second,
        same_answer=int((predicted[0] == predicted[1]).sum()),
        mcnemar=independent,
        sign_flip=clustered,
        p=p,
        p_holm=p,
        better="",
        conclusion="",
    )


def _judged(pair: Pair, p_holm: float, pairs: int, rows: int) -> Pair:
    """A pair with its corrected p and what follows from it."""
    better = (pair.first if pair.only_first > pair.only_second else pair.second) if p_holm < ALPHA else ""
    pair = replace(pair, p_holm=p_holm, better=better)
    return replace(pair, conclusion=conclusion(pair, pairs=pairs, rows=rows))
