# SPDX-License-Identifier: GPL-3.0-or-later
"""What a training run is told: a TOML file, read whole and checked, or refused with the name of the key at fault.

`training/configs/` holds the files that ship; `docs/training.md` explains every key.
"""

from __future__ import annotations

import math
import os
import tomllib
import typing
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Final

from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import read_bounded

from portrait_server.training.objective import Weights

CONFIGS: Final = Path(__file__).parent / "configs"
"""Where the files that ship are; `portrait train painters.toml` finds them by name."""

_USUAL: Final = Weights()
_MAX_BYTES = 2**20
_MOST_SEED = 2**32 - 1


@dataclass(frozen=True)
class PainterTraining:
    """How one painter learns.

    Attributes:
        shares: how often each corpus is drawn, against the others, by its name: `NAME-train` and `NAME-held` are folders.
        steps: how many; batch: pairs of each.
        width: of the painter, see `networks.painter`.
        rate: Adam's for the painter; it rises to this over the first hundred steps.
        cool_down: over how many steps at the end it falls to nothing.
        discriminator_from: the step from which the discriminator has a say; discriminator_rate: Adam's for it.
        average: how much of the running mean of the weights stays from a step to the next.
        weights: of the losses.
    """

    shares: dict[str, float]
    steps: int
    batch: int = 8
    width: int = 24
    rate: float = 3e-4
    cool_down: int = 1000
    discriminator_from: int = 2500
    discriminator_rate: float = 2e-4
    average: float = 0.998
    weights: Weights = _USUAL


@dataclass(frozen=True)
class Training:
    """A whole run.

    Attributes:
        licence: of the weights, an SPDX expression; whoever owns the pictures decides.
        mouth, eye: how each painter learns; one that is left out stays as it is, which is to paint nothing at first.
        seed: of weights and batches.
        minutes: between checkpoints.
        measure_every: steps between measurements on held-out people.
        shown: how many of each held-out corpus are on a sheet.
    """

    licence: str
    mouth: PainterTraining | None = None
    eye: PainterTraining | None = None
    seed: int = 1
    minutes: float = 5.0
    measure_every: int = 250
    shown: int = 6

    @property
    def painters(self) -> dict[str, PainterTraining]:
        """Those that learn, by name."""
        return {name: told for name, told in (("mouth", self.mouth), ("eye", self.eye)) if told is not None}


def load(path: Path) -> Training:
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
    training = _record(Training, values, "")
    _check(training)
    return training


def _record(kind: Any, values: Any, at: str) -> Any:
    if not isinstance(values, dict):
        raise _bad(at, "must be a table of keys")
    known, hints = {f.name: f for f in fields(kind)}, typing.get_type_hints(kind)
    for key in values:
        if key not in known:
            raise _bad(_join(at, key), f"is not known here; known are {', '.join(known)}")
    for name, described in known.items():
        if name not in values and described.default is MISSING:
            raise _bad(_join(at, name), "is missing")
    return kind(**{name: _value(hints[name], value, _join(at, name)) for name, value in values.items()})


def _value(kind: Any, value: Any, at: str) -> Any:
    if kind == PainterTraining | None:
        return _record(PainterTraining, value, at)
    if kind is Weights:
        return _record(Weights, value, at)
    if kind == dict[str, float]:
        if not isinstance(value, dict):
            raise _bad(at, "must be a table of keys")
        return {name: _value(float, share, _join(at, name)) for name, share in value.items()}
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise _bad(at, f"must be of type {kind.__name__}, not {type(value).__name__}")
    if kind is float and not math.isfinite(value):
        raise _bad(at, f"must be a finite number, not {value}")
    return value


def _check(training: Training) -> None:
    if not training.painters:
        raise _bad("mouth", "or eye must be there: nothing would learn")
    if not 0 <= training.seed <= _MOST_SEED:
        raise _bad("seed", f"must be from 0 to {_MOST_SEED}, not {training.seed}")
    positive = {name: getattr(training, name) for name in ("minutes", "measure_every", "shown")}
    not_negative: dict[str, float] = {}
    for name, told in training.painters.items():
        if not told.shares:
            raise _bad(f"{name}.shares", "names no corpus")
        if not told.average < 1:
            raise _bad(f"{name}.average", f"must be below 1, not {told.average}")
        positive |= {f"{name}.shares.{corpus}": share for corpus, share in told.shares.items()}
        positive |= {
            f"{name}.{key}": getattr(told, key) for key in ("steps", "batch", "width", "rate", "discriminator_rate")
        }
        not_negative |= {f"{name}.{key}": getattr(told, key) for key in ("cool_down", "discriminator_from", "average")}
        not_negative |= {f"{name}.weights.{f.name}": getattr(told.weights, f.name) for f in fields(Weights)}
    for key, number in positive.items():
        if number <= 0:
            raise _bad(key, f"must be above 0, not {number}")
    for key, number in not_negative.items():
        if number < 0:
            raise _bad(key, f"must be 0 or above, not {number}")


def _join(at: str, key: str) -> str:
    return f"{at}.{key}" if at else key


def _bad(key: str, trouble: str) -> PortraitError:
    return PortraitError(
        ErrorCode.BAD_CONFIGURATION, f"{key} {trouble}.", "docs/training.md explains every key of the file."
    )
