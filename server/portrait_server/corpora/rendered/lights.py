# SPDX-License-Identifier: GPL-3.0-or-later
"""Light on a made-up person: lamps by chance, or that of a real place as a panorama holds it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError

from portrait_server.geometry.ramps import smoothstep
from portrait_server.media.panoramas import read_panorama

_HIGH, _WIDE = 64, 128  # pixels of the panorama that eyes reflect
_LAMPS: Final = 3
_LAMP_REACH: Final = np.cos(np.radians(22.0))
_LAMP_STANDS_OUT: Final = 2.5  # against the mean of all around
_TOWARDS_CAMERA: Final = -0.3  # z of the normals that a camera sees well
_EXPOSED_FOR: Final = 75  # per cent of them are darker than what the exposure goes by
_WHITE_BALANCE: Final = 0.75
_BOX, _BOX_BRIGHT = 0.955, 25.0  # cosine of half a soft box's width; how bright it is against what it lights
_BRIGHTEST: Final = 60.0  # of a reflection, against that mean
# Ramamoorthi and Hanrahan's shares of the cosine lobe in the spherical harmonics of order 0, 1 and 2, over pi.
_LOBE: Final = np.array([1.0] + [2 / 3] * 3 + [1 / 4] * 5)


@dataclass(frozen=True)
class Light:
    """Lamps, what comes from all around, and what a wet eye reflects. x right, y down, z away from the camera.

    Attributes:
        directions: (3, 3) towards the lamps; colors (3, 3).
        around: (9, 3) spherical harmonics by normal: what a white surface sends back, lamps left out.
        panorama: (64, 128, 3) float32, all that is around: rows from above to below, columns from left over ahead.
        exposure: by which everything is brightened.
    """

    directions: np.ndarray
    colors: np.ndarray
    around: np.ndarray
    panorama: np.ndarray
    exposure: float


class Places:
    """Panoramas of real places: Radiance files (.hdr) of a folder."""

    def __init__(self, folder: Path) -> None:
        """Raises: PortraitError: FILE_MISSING for a folder without any; BAD_IMAGE."""
        self._panoramas = [_small(read_panorama(path)) for path in sorted(folder.glob("*.hdr"))]
        if not self._panoramas:
            raise PortraitError(
                ErrorCode.FILE_MISSING, f"There are no panoramas (.hdr) in {folder}.", "Give a folder that holds some."
            )

    def light(self, rng: np.random.Generator) -> Light:
        """The light of one of the places, from any side."""
        panorama = self._panoramas[int(rng.integers(len(self._panoramas)))]
        panorama = np.roll(panorama, int(rng.integers(_WIDE)), axis=1)
        if rng.random() < 0.5:
            panorama = panorama[:, ::-1]
        # Photographers turn faces away from darkness: not every place is as contrasty as it was.
        mean = _mean(panorama)
        panorama = mean + (panorama - mean) * rng.uniform(0.5, 1.0)
        return _light_of(np.ascontiguousarray(panorama, np.float32), rng.uniform(0.75, 1.1))


def random_light(rng: np.random.Generator) -> Light:
    """A key, a fill and a rim, warm or cold; sometimes hard and from the side."""
    key = _direction(rng.uniform(-1.1, 1.1), rng.uniform(-0.2, 0.9))
    fill = _direction(-np.sign(key[0]) * rng.uniform(0.2, 1.3), rng.uniform(-0.3, 0.5))
    rim = _direction(rng.choice([-1, 1]) * rng.uniform(1.7, 2.6), rng.uniform(0, 0.8))
    strength = np.array([rng.uniform(0.5, 1.3), rng.uniform(0.05, 0.5), rng.choice([0, 0, 0.5]) * rng.uniform(0.4, 1)])
    tints = np.exp(rng.normal(0, [0.10, 0.02, 0.12], (3, 3)))
    around = rng.uniform(0.12, 0.5)
    exposure = rng.uniform(0.85, 1.25) / max(0.3, around + strength[0] * 0.6 + strength[1] * 0.4)
    warm = np.exp(rng.normal(0, [0.08, 0.02, 0.10]))
    sky, ground = around * warm, around * rng.uniform(0.4, 0.9) * warm[::-1]
    return lamps(np.stack([key, fill, rim]), strength[:, None] * tints, sky, ground, exposure)


def lamps(directions: np.ndarray, colors: np.ndarray, sky: np.ndarray, ground: np.ndarray, exposure: float) -> Light:
    """Three lamps with soft boxes before them, between a sky and a ground: each (3,), as a white surface shows it."""
    share = 0.5 - 0.5 * _WAYS[..., 1:2]
    plain = ground + (sky - ground) * share
    boxes = [
        smoothstep((_WAYS @ way - _BOX) / 0.02)[..., None] * _BOX_BRIGHT * color
        for way, color in zip(directions, colors, strict=True)
    ]
    return Light(directions, colors, _harmonics(plain), (plain + sum(boxes)).astype(np.float32), exposure)


def _light_of(panorama: np.ndarray, brightness: float) -> Light:
    """Args: brightness: of the surfaces of a white head that the camera is exposed for."""
    mean = _mean(panorama)
    rest, directions, colors = panorama.copy(), [], []
    for _ in range(_LAMPS):
        soft = cv2.GaussianBlur(np.pad(rest.mean(2), ((0, 0), (8, 8)), "wrap"), (0, 0), 2)[:, 8:-8]
        way = _WAYS[np.unravel_index(soft.argmax(), soft.shape)]
        near = (_WAYS @ way > _LAMP_REACH)[..., None]
        more = np.where(near, np.maximum(rest - _LAMP_STANDS_OUT * mean, 0), 0)
        rest -= more
        colors.append((more * _SOLID_ANGLES[..., None]).sum((0, 1)) / np.pi)
        directions.append(way)
    color, way = np.stack(colors), np.stack(directions)
    around = _harmonics(rest)
    seen = _WAYS[_WAYS[..., 2] < _TOWARDS_CAMERA]
    level = np.percentile(np.maximum(seen @ way.T, 0) @ color + _basis(seen) @ around, _EXPOSED_FOR, axis=0)
    # A camera takes most of a light's colour away.
    balance = (level.mean() / level) ** _WHITE_BALANCE
    mirrored = np.minimum(panorama, _BRIGHTEST * mean) * balance
    return Light(way, color * balance, around * balance, mirrored.astype(np.float32), brightness / float(level.mean()))


def _small(panorama: np.ndarray) -> np.ndarray:
    return cv2.resize(panorama, (_WIDE, _HIGH), interpolation=cv2.INTER_AREA)


def _mean(panorama: np.ndarray) -> np.ndarray:
    return (panorama * _SOLID_ANGLES[..., None]).sum((0, 1)) / (4 * np.pi)


def _harmonics(panorama: np.ndarray) -> np.ndarray:
    """What surfaces send back of a panorama (H, W, 3): (9, 3), by `_basis` of their normals."""
    projected = np.einsum("hwn,hwc,hw->nc", _basis(_WAYS), panorama, _SOLID_ANGLES)
    return _LOBE[:, None] * projected


def _basis(ways: np.ndarray) -> np.ndarray:
    """The nine real spherical harmonics of order 0 to 2 at directions (…, 3)."""
    x, y, z = np.moveaxis(ways, -1, 0)
    first, second = 0.488603, 1.092548
    return np.stack(
        [
            np.full_like(x, 0.282095), first * y, first * z, first * x,
            second * x * y, second * y * z, 0.315392 * (3 * z * z - 1), second * x * z, 0.546274 * (x * x - y * y),
        ],
        -1,
    )  # fmt: skip


def _direction(yaw: float, height: float) -> np.ndarray:
    """Towards a light."""
    return np.array([np.sin(yaw) * np.cos(height), -np.sin(height), -np.cos(yaw) * np.cos(height)])


def _ways() -> np.ndarray:
    """(H, W, 3) where each pixel of a panorama lies. Its middle is behind the camera, which faces see."""
    down = (np.arange(_HIGH) + 0.5) / _HIGH * np.pi - np.pi / 2
    yaw = (np.arange(_WIDE) + 0.5) / _WIDE * 2 * np.pi - np.pi
    yaw, down = np.meshgrid(yaw, down)
    return np.stack([np.sin(yaw) * np.cos(down), np.sin(down), -np.cos(yaw) * np.cos(down)], -1)


_WAYS: Final = _ways()
_SOLID_ANGLES: Final = np.hypot(_WAYS[..., 0], _WAYS[..., 2]) * (np.pi / _HIGH) * (2 * np.pi / _WIDE)
