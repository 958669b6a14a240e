# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a training run's TOML file: whole, checked, or refused with the name of the key at fault.

`training/configs/` holds the files that ship; `docs/training.md` explains every key.
"""

from __future__ import annotations

import math
import os
import tomllib
import typing
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

import torch
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import read_bounded

from portrait_server.networks import configurations
from portrait_server.networks.weights_file import LEAST_SIDE, SIDE_STEP, WIDEST
from portrait_server.training.configuration import NetworkChoice, Stage, TrainingConfiguration

CONFIGS = Path(__file__).parent / "configs"
"""Where the files that ship are; `portrait train portrait-short.toml` finds them by name."""

_CORPUS_KINDS = ("videos", "reposed", "rendered")
_CONTENT_NETWORKS = ("vgg19", "vggface")
_OVERRIDES = {
    "width": int,
    "embedder_side": int,
    "embedder_width": int,
    "embedder_widest": int,
    "embedding": int,
    "spectral": bool,
}
_MAX_BYTES = 2**20
_MOST_SEED = 2**32 - 1


def load(path: Path) -> TrainingConfiguration:
    """Reads a configuration file; a bare name is looked for among those that ship.

    Raises:
        PortraitError: FILE_MISSING; BAD_CONFIGURATION with the name of the key at fault.
    """
    if not os.path.isfile(path) and os.path.isfile(CONFIGS / path.name) and path.parent == Path():
        path = CONFIGS / path.name
    try:
        values = tomllib.loads(read_bounded(path, _MAX_BYTES).decode("utf-8"))
    except OSError as error:
        known = ", ".join(sorted(p.name for p in CONFIGS.glob("*.toml")))
        raise PortraitError(
            ErrorCode.FILE_MISSING,
            f"{path} cannot be read: {error.strerror}.",
            f"These ship with the program: {known}.",
        ) from error
    except (ValueError, RecursionError) as error:  # no TOML, no text, or nested too deeply
        raise _bad(path.name, f"is not TOML: {error}") from error
    configuration = _record(TrainingConfiguration, values, "", path.parent.absolute())
    _check(configuration)
    return configuration


def _record(kind: Any, values: Any, at: str, folder: Path) -> Any:
    if not isinstance(values, dict):
        raise _bad(at, "must be a table of keys")
    hints = typing.get_type_hints(kind)
    known = {f.name: f for f in fields(kind)}
    for key in values:
        if key not in known:
            raise _bad(_join(at, key), f"is not known here; known are {', '.join(known)}")
    made = {}
    for name, described in known.items():
        if name in values:
            made[name] = _value(hints[name], values[name], _join(at, name), folder)
        elif described.default is MISSING and described.default_factory is MISSING:
            raise _bad(_join(at, name), "is missing")
    return kind(**made)


def _value(kind: Any, value: Any, at: str, folder: Path) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if is_dataclass(kind):
        return _record(kind, value, at, folder)
    if origin is tuple and arguments[-1] is not Ellipsis:
        if not isinstance(value, list) or len(value) != len(arguments):
            raise _bad(at, f"must be a list of {len(arguments)}")
        return tuple(_value(a, v, f"{at}[{i}]", folder) for i, (a, v) in enumerate(zip(arguments, value, strict=True)))
    if origin is tuple:
        if not isinstance(value, list) or not value:
            raise _bad(at, "must be a list of at least one")
        return tuple(_value(arguments[0], v, f"{at}[{i}]", folder) for i, v in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise _bad(at, "must be a table of keys")
        return {
            k: v if arguments[1] is Any else _value(arguments[1], v, _join(at, k), folder) for k, v in value.items()
        }
    if kind in (Path, Path | None):
        if not isinstance(value, str) or not value:
            raise _bad(at, "must be a path, in quotes")
        return folder / Path(value).expanduser()
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not kind:
        raise _bad(at, f"must be of type {kind.__name__}, not {type(value).__name__}")
    if kind is float and not math.isfinite(value):
        raise _bad(at, f"must be a finite number, not {value}")
    return value


def _check(c: TrainingConfiguration) -> None:
    positive = {
        "data.batch_size": c.data.batch_size,
        "data.references": c.data.references,
        "optimiser.generator_rate": c.optimiser.generator_rate,
        "optimiser.discriminator_rate": c.optimiser.discriminator_rate,
        "optimiser.clip": c.optimiser.clip,
        "keeping.minutes": c.keeping.minutes,
        "keeping.last": c.keeping.last,
        "keeping.measure_every": c.keeping.measure_every,
        "keeping.measure_samples": c.keeping.measure_samples,
        "keeping.sheet_every": c.keeping.sheet_every,
        **{f"stages[{i}].steps": stage.steps for i, stage in enumerate(c.stages)},
        **{f"data.corpora[{i}].weight": corpus.weight for i, corpus in enumerate(c.data.corpora)},
    }
    for key, number in positive.items():
        if number <= 0:
            raise _bad(key, f"must be above 0, not {number}")
    not_negative = {
        "data.pool": c.data.pool,
        "data.workers": c.data.workers,
        "optimiser.warm_up_steps": c.optimiser.warm_up_steps,
        "regions.mouth": c.regions.mouth,
        "regions.eyes": c.regions.eyes,
        **{f"stages[{i}].discriminator_steps": stage.discriminator_steps for i, stage in enumerate(c.stages)},
    }
    for key, number in not_negative.items():
        if number < 0:
            raise _bad(key, f"must be 0 or above, not {number}")
    decays = {"optimiser.ema": c.optimiser.ema}
    decays |= {f"optimiser.betas[{i}]": beta for i, beta in enumerate(c.optimiser.betas)}
    for key, number in decays.items():
        if not 0 <= number < 1:
            raise _bad(key, f"must be from 0 to below 1, not {number}")
    if not 0 <= c.seed <= _MOST_SEED:
        raise _bad("seed", f"must be from 0 to {_MOST_SEED}, not {c.seed}")
    _check_networks(c.network)
    if c.data.pool_side and c.data.pool_side not in [c.network.side << doublings for doublings in range(4)]:
        raise _bad("data.pool_side", f"must be network.side ({c.network.side}) times 1, 2, 4 or 8")
    if c.data.references > 32:
        raise _bad("data.references", "must be 32 at most")
    for name, corpora in (("corpora", c.data.corpora), ("held_out", c.data.held_out)):
        for i, corpus in enumerate(corpora):
            if corpus.kind not in _CORPUS_KINDS:
                raise _bad(f"data.{name}[{i}].kind", f"must be one of {', '.join(_CORPUS_KINDS)}")
    for name in c.content:
        if name not in _CONTENT_NETWORKS:
            raise _bad(f"content.{name}", f"is not known; known are {', '.join(_CONTENT_NETWORKS)}")
    for i, stage in enumerate(c.stages):
        _check_stage(c, stage, f"stages[{i}]")


def _check_networks(chosen: NetworkChoice) -> None:
    if chosen.configuration not in configurations.CONFIGURATIONS:
        known = ", ".join(configurations.CONFIGURATIONS)
        raise _bad("network.configuration", f"must be one of {known}, not {chosen.configuration!r}")
    if chosen.side % SIDE_STEP or not LEAST_SIDE <= chosen.side <= WIDEST:
        raise _bad(
            "network.side", f"must be a multiple of {SIDE_STEP} from {LEAST_SIDE} to {WIDEST}, not {chosen.side}"
        )
    for name, value in chosen.overrides.items():
        at = f"network.overrides.{name}"
        if name not in _OVERRIDES:
            raise _bad(at, f"is not known here; known are {', '.join(_OVERRIDES)}")
        if type(value) is not _OVERRIDES[name]:
            raise _bad(at, f"must be of type {_OVERRIDES[name].__name__}, not {type(value).__name__}")
        least = LEAST_SIDE if name == "embedder_side" else 1
        if type(value) is int and not least <= value <= WIDEST:
            raise _bad(at, f"must be from {least} to {WIDEST}, not {value}")
    trouble = _why_not_built(chosen, chosen.overrides)
    if trouble:
        alone = (f".{name}" for name, value in chosen.overrides.items() if _why_not_built(chosen, {name: value}))
        raise _bad(f"network.overrides{next(alone, '')}", f"makes no networks: {trouble}")


def _why_not_built(chosen: NetworkChoice, overrides: dict[str, Any]) -> str:
    """Why there are no such networks; empty where there are, and where nothing is changed."""
    if not overrides:
        return ""
    try:
        with torch.device("meta"):  # shapes without numbers: it takes neither memory nor chance
            configurations.build(chosen.configuration, side=chosen.side, **overrides).new_discriminator(1)
    except (ValueError, RuntimeError) as error:
        return str(error)
    return ""


def _check_stage(c: TrainingConfiguration, stage: Stage, at: str) -> None:
    if not 0 <= stage.rate_end <= 1:
        raise _bad(f"{at}.rate_end", f"must be from 0 to 1, not {stage.rate_end}")
    weights = {f.name: getattr(stage.weights, f.name) for f in fields(stage.weights)}
    for name, weight in weights.items():
        if weight < 0:
            raise _bad(f"{at}.weights.{name}", "must be 0 or above")
    for name in _CONTENT_NETWORKS:
        if weights[name] and name not in c.content:
            raise _bad(f"content.{name}", f"is missing, but {at}.weights.{name} is above 0")
    if not any(weights.values()):
        raise _bad(f"{at}.weights", "gives no loss any weight")
    judged = any(weights[name] for name in ("adversarial", "feature_matching", "embedding_match"))
    if judged != (stage.discriminator_steps > 0):
        raise _bad(f"{at}.discriminator_steps", "must be above 0 exactly where the losses need a discriminator")


def _join(at: str, key: str) -> str:
    return f"{at}.{key}" if at else key


def _bad(key: str, trouble: str) -> PortraitError:
    return PortraitError(
        ErrorCode.BAD_CONFIGURATION, f"{key} {trouble}.", "docs/training.md explains every key of the file."
    )
