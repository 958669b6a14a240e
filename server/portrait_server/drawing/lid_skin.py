# SPDX-License-Identifier: GPL-3.0-or-later
"""The skin of an upper lid that comes down over a closing eye, and the lashes at its edge.

An open eye shows little of that skin: a strip in the shade of the brow. Drawn out over the eye it would be dark and
torn. On talking people a shut lid has the colour of the skin below the eye (within 4 % on nine of them), and is as even
up to the brow; its lashes lie over the lower lid and darken it down to a fifth of the eye's width. What is dark along
the edge of a photo's lid is two things: a line, where lashes grow, which goes with the edge and is as thin when the eye is
shut; and single lashes, which stand up from an open eye and hang from a shut one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from portrait_server.drawing.lid_rims import MEETS
from portrait_server.drawing.opening import LEAST_WIDTH, covered, depth_below, mix, patches_around, planes
from portrait_server.geometry.arrays import array_namespace
from portrait_server.geometry.face_mesh import EYES
from portrait_server.geometry.head_mesh import HeadMesh
from portrait_server.geometry.ramps import between, smoothstep
from portrait_server.geometry.raster import turned_towards
from portrait_server.kernels.base import Array, Kernels, Look
from portrait_server.kernels.levels import held

# All in eye widths. What the texture shows: so far above the lid's edge, below it, and beside the corners.
_ABOVE, _BELOW, _BESIDE = 0.7, 0.3, 0.12
_FROM, _SQUEEZED = 0.14, 0.5  # how far below the lower lid its skin is taken from, and by how much it is drawn together
_TONE = 0.96  # of that skin
_BONE = 0.3  # how far above the open eye the skin below the brow is, whose light the lid has a share of
_SHADE, _DARKER = 0.25, 0.3  # that share at the lid's edge, and how it grows upwards
_THINNEST, _THICKEST, _LINE_END = 0.02, 0.045, 0.12  # the line of lashes; along how much of the edge it thins out
_LINE_AT, _EVEN_LINE = 0.03, 0.06  # how near to the edge what is darkest tells how dark that line is; along how much
_MOST = 0.85  # how dark it is at most
_APART = 0.05  # how far apart single lashes are at most
_LONGEST, _SEEN, _OF_MOST = (
    0.35,
    0.04,
    0.35,
)  # of lashes; how dark they are at least, and at their ends against the most
_LAID_DOWN = (0.15, 0.55)  # of closing: what stood up from the open lid lies down
_OVER = 0.03  # how far a shut lid lies over the other, whose wet rim it hides
_LASH_BAND = 0.06  # what a lid's lashes and crease take up of an open eye, above the edge, at least
_FADE = 0.25  # over how much the lid's skin ends below the brow
_ENDS = 0.5  # share of the lid's arch over which its skin ends towards the corners
_EVEN, _GRAIN, _CHEEK = 0.06, 0.02, 0.4  # what is smaller than the first and larger than the second is left out
# Height over width from which on an open eye is no person's but drawn, or an animal's: the skin below it alone tells what
# its lid is like, for brows and outlines may be near above, and lashes cannot be told from outlines. So far above an open
# eye its lid is made.
_DRAWN, _DRAWN_ABOVE, _DRAWN_SQUEEZED = 0.65, 0.2, 0.2
_DRAWN_GRAIN = 12.0  # levels: fur has less, outlines more
_FIRST, _FULL = 0.08, 0.7  # of the eye's height: when a closing lid begins to show its skin, and when it all does


@dataclass(frozen=True)
class LidSkin:
    """The upper lid of one eye, rolled out along its edge: columns from corner to corner, rows downwards.

    Attributes:
        skin: (h, w, 3) colours; lashes: (h, w) uint8, 255 where there are none, less where they darken.
        first: (2,) how far right of the left corner and how far below the edge the first pixel lies, pixels.
        wide: the eye's width in the reference, pixels.
        high: its opening's height there over its width.
        long: of its lashes, in eye widths.
    """

    skin: Array
    lashes: Array
    first: np.ndarray
    wide: float
    high: float
    long: float

    def placed(self, kernels: Kernels) -> LidSkin:
        """The same with its pixels where the kernels have theirs."""
        return replace(self, skin=kernels.placed(self.skin), lashes=kernels.placed(self.lashes))

    def draw(
        self, kernels: Kernels, frames: Array, upper: np.ndarray, turn: np.ndarray, closed: np.ndarray, skin: np.ndarray
    ) -> None:
        """Draws the lid over the eye as far as it is closed.

        Args:
            frames: (N, H, W, 3 or 4), changed in place.
            upper: (N, 9, 3) the lid's edge in the frames, and its depth.
            turn: (N, 2, 2) how the head's pose carries small distances in the picture.
            closed: (N,) how far the eye is closed, 0 as in the photo to 1.
            skin: (N, T, 3, 3) as `opening.covered` takes it.
        """
        edge, depth = upper[..., :2], upper[..., 2].min(1)
        wide = np.linalg.norm(edge[:, -1] - edge[:, 0], axis=1)
        scale = np.linalg.norm(turn[:, :, 1], axis=1)  # pixels of the frame for one of the reference, downwards
        strength = between(closed, _FIRST, _FULL)
        patches = patches_around(edge, _reach_above(self.high) * self.wide * scale, (frames.shape[2], frames.shape[1]))
        patches = patches.only((wide >= LEAST_WIDTH) & (strength > 0))
        if not patches.there.any():
            return
        x, y = kernels.grid(patches)
        below = depth_below(kernels, edge, x, y)
        along = (edge[:, -1] - edge[:, 0]) / np.maximum(wide, LEAST_WIDTH)[:, None] ** 2
        left, top, right, down, deeper, shown, over, reach, fade, long = planes(
            kernels, *edge[:, 0].T, *along.T, 1 / np.maximum(scale, 1e-6), strength, _OVER * self.wide * between(closed, *MEETS),
            (_LASH_BAND + closed.clip(0, 1) * self.high) * self.wide, np.full(1, _FADE * self.wide),
            (self.long - _LASH_BAND) * between(closed, *_LAID_DOWN) * self.wide,
        )  # fmt: skip
        across = (x - left) * right + (y - top) * down
        arch = 1 - ((2 * across - 1) / (1 + 2 * _BESIDE)) ** 2  # 0 at the ends, 1 in the middle
        below = below * deeper - over * arch.clip(0, 1)
        at = across * self.wide - self.first[0].item(), below - self.first[1].item()
        colour = kernels.looked_up(self.skin[None], *at, Look.LINEAR)
        lashes = kernels.looked_up(self.lashes[None], *at, Look.LINEAR)
        xp = array_namespace(colour)
        hidden = covered(kernels, skin, turned_towards(skin), edge, depth, patches)
        shown = shown * smoothstep(arch / _ENDS) * (1 - hidden)
        ends = smoothstep((-below - reach * arch - long * (2 * arch).clip(0, 1)) / (fade * arch.clip(0.1, 1)))
        edge_of_skin = smoothstep(0.5 - below) * (1 - ends)
        dark = 1 - shown * (1 - xp.astype(lashes, xp.float32) / 255)
        region = xp.astype(kernels.taken(frames[..., :3], patches), xp.float32)
        region = region + (colour - region) * (shown * edge_of_skin)[..., None]
        mix(kernels, frames, patches, region * dark[..., None], xp.ones_like(dark))


def _reach_above(high: float) -> float:
    """How far above its edge a lid is made, in eye widths, by its open eye's height over its width."""
    return max(_ABOVE, high + _DRAWN_ABOVE) if high > _DRAWN else _ABOVE


def build_lids(photo: np.ndarray, mesh: HeadMesh, scale: np.ndarray) -> tuple[LidSkin, ...]:
    """The upper lids of a reference's (H, W, 3 or 4) eyes."""
    return tuple(_lid(photo[..., :3], *(mesh.vertices[list(rim), :2] * scale for rim in rims)) for rims in EYES)


def _lid(photo: np.ndarray, upper: np.ndarray, lower: np.ndarray) -> LidSkin:
    corner, across = upper[0], upper[-1] - upper[0]
    wide = max(float(np.linalg.norm(across)), LEAST_WIDTH)
    right = across / wide
    axes = np.stack([right, (-right[1], right[0])])
    high = np.linalg.norm(lower[1:-1] - upper[1:-1], axis=1).max() / wide
    drawn = high > _DRAWN
    first = np.round(np.array([-_BESIDE, -_reach_above(high)]) * wide)
    last = np.round(np.array([1 + _BESIDE, _BELOW]) * wide)
    u, d = np.meshgrid(*(np.arange(a, b + 1) for a, b in zip(first, last, strict=True)))
    above, under = (
        np.interp(u, *((rim - corner) @ axes.T).T[:, np.argsort((rim - corner) @ right)]) for rim in (upper, lower)
    )

    def at(height: np.ndarray) -> np.ndarray:
        x, y = np.moveaxis(corner + np.stack([u, height], -1) @ axes, -1, 0).astype(np.float32)
        return cv2.remap(photo, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)

    out = np.maximum(-d, 0)
    lit = (not drawn) * (_SHADE + _DARKER * out / wide).clip(0, 1)[..., None]
    squeezed = _DRAWN_SQUEEZED if drawn else _SQUEEZED
    skin = (1 - lit) * at(under + _FROM * wide + squeezed * out) + lit * at(above - _BONE * wide)
    skin = _TONE * cv2.GaussianBlur(skin, (0, 0), _EVEN * wide)
    cheek = at(under + _CHEEK * wide + out)
    grain = cheek - cv2.GaussianBlur(cheek, (0, 0), max(0.3, _GRAIN * wide))
    skin += np.where(np.abs(grain) < _DRAWN_GRAIN, grain, 0) if drawn else grain
    # What stands up above an open eye lies below a shut one.
    darkness = (not drawn) * (1 - (at(above - np.abs(d)).mean(2) / np.maximum(skin.mean(2), 1)).clip(0, 1))
    rows, along = -d[:, 0] / wide, u[0] / wide
    most = np.where((rows >= 0) & (rows <= _LINE_AT), darkness.T, 0).max(1)
    line = cv2.GaussianBlur(most[None], (0, 0), _EVEN_LINE * wide)[0].clip(0, _MOST)
    line = line * smoothstep(np.minimum(along, 1 - along) / _LINE_END)
    faint = rows[(rows > 0) & (darkness[:, (along > 0.2) & (along < 0.8)].mean(1) < 0.5 * most.mean())]
    thick = np.clip(faint.min(initial=_THICKEST), _THINNEST, _THICKEST)
    line = line * np.exp(-((d / (thick * wide)) ** 2))
    apart = np.ones((1, 2 * round(_APART * wide / 2) + 1), np.uint8)
    single = darkness - cv2.blur(cv2.erode(darkness.astype(np.float32), apart), (apart.size, 1))
    long = _length(single[d[:, 0] >= 0].mean(1), wide)
    single = np.where(d > 0, single * np.exp(-np.maximum(d, 0) / (2 * long * wide)), 0)
    lashes = np.round(255 * (1 - np.maximum(line, single.clip(0, 1)))).astype(np.uint8)
    return LidSkin(held(skin, photo.dtype), lashes, first, wide, float(high), long)


def _length(dark: np.ndarray, wide: float) -> float:
    """How long lashes are, in eye widths, by how dark they are (R,) in rows of pixels away from the lid's edge."""
    first, last = (min(len(dark), round(share * wide)) for share in (_LASH_BAND, _LONGEST))
    most = dark[:first].max(initial=0.0)
    if most < _SEEN:
        return _LASH_BAND
    faint = np.flatnonzero(dark[first:last] < _OF_MOST * most)
    return (first + faint[0] if len(faint) else last) / wide
