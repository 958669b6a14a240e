# SPDX-License-Identifier: GPL-3.0-or-later
"""What layered frames hold beside the picture: matte, depth, motion to the next frame, and how far a pixel is the photo's.

Depth and motion are values at the mesh's vertices, drawn as its motion is. At a person's edge they are the person's where
more of it is seen than of what lies behind, for a mean of two depths is neither.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from portrait_shared.layers import in_order

from portrait_server.drawing.confidence import confidence
from portrait_server.drawing.frame import Moved, composite, person_over_nothing
from portrait_server.drawing.inside import Place
from portrait_server.drawing.motion import Motion
from portrait_server.drawing.opening import shown_openings
from portrait_server.drawing.scene import Scene
from portrait_server.geometry.arrays import array_namespace
from portrait_server.geometry.face_mesh import MOUTH, SIDES, VERTEX_COUNT
from portrait_server.geometry.head_mesh import HeadMesh
from portrait_server.geometry.ramps import smoothstep
from portrait_server.kernels.base import Array, Kernels, Patches
from portrait_server.kernels.levels import LEVELS_16_BIT

MOSTLY = 127.5
"""Of 255: a matte above it is a person more than anything else."""


def draw_layers(
    kernels: Kernels, scene: Scene, moved: Moved, following: Motion | None, layers: Sequence[str], matte: bool
) -> Array:
    """Layers of N frames, see `portrait_shared.layers`: (N, H, W, K) float32 where the kernels have their pixels.

    Colours are straight, and as the photo's and mattes from 0 to 255; depth, motion and confidence as files have them.

    Args:
        moved: the person, painted where it is to be.
        following: how it moves in the frames that follow; for `forward` and `vector`.
        matte: whether `rgba` is the person over nothing.
    """
    drawers = {
        "rgba": lambda: _picture(kernels, scene, moved, matte),
        "matte": lambda: person_over_nothing(moved)[..., 3:],
        "depth": lambda: _depth(scene, moved),
        "forward": lambda: _forward(kernels, scene, moved, following),
        "confidence": lambda: confidence(kernels, scene, moved)[..., None],
        "vector": lambda: _vector(_forward(kernels, scene, moved, following)),
    }
    xp = array_namespace(moved.alpha)
    return xp.concat([xp.astype(drawers[layer](), xp.float32) for layer in in_order(layers)], axis=-1)


def _picture(kernels: Kernels, scene: Scene, moved: Moved, matte: bool) -> Array:
    """(N, H, W, 4)."""
    if matte:
        return person_over_nothing(moved)
    return as_layer(composite(kernels, scene, moved, False))


def as_layer(frames: Array) -> Array:
    """Finished frames (N, H, W, 3 or 4) as float32 from 0 to 255, with an alpha: (N, H, W, 4)."""
    xp = array_namespace(frames)
    frames = xp.astype(frames, xp.float32) / (1 if frames.dtype == xp.uint8 else LEVELS_16_BIT)
    if frames.shape[-1] == 4:
        return frames
    return xp.concat([frames, xp.full_like(frames[..., :1], 255.0)], axis=-1)


def _depth(scene: Scene, moved: Moved) -> Array:
    """(N, H, W, 1), in widths of the face as the photo has it, from a plane that the whole head stands before."""
    mesh = scene.mesh
    plane = max(mesh.depth[:VERTEX_COUNT].max(), mesh.body.vertices[:, 2].max())
    return _of_the_person(moved, (moved.motion.depth(mesh)[..., None] - plane) / face_width(mesh))


def face_width(mesh: HeadMesh) -> float:
    """Pixels of the photo in what depth is counted in."""
    return float(np.linalg.norm(mesh.vertices[SIDES[1]] - mesh.vertices[SIDES[0]])) + 1e-6


def _forward(kernels: Kernels, scene: Scene, moved: Moved, following: Motion | None) -> Array:
    """(N, H, W, 2), pixels to the right and upwards."""
    assert following is not None
    motion, up = moved.motion, np.array([1, -1], np.float32)
    forward = _of_the_person(moved, up * (following.vertices - motion.vertices)[..., :2])
    gaze, skull, jaw = (
        kernels.put((up * (getattr(following, name) - getattr(motion, name))).astype(np.float32))[..., None, None, :]
        for name in ("pupils", "skull", "jaw")
    )
    for number, (patches, share) in enumerate(shown_openings(kernels, motion.vertices, scene.size)):
        there = kernels.taken(forward, patches)
        if number < 2:
            steps = gaze[:, number]
        else:
            above, below = (motion.vertices[:, list(rim), :2] for rim in MOUTH)
            down = Place(kernels, above, below, *kernels.grid(patches)).down
            steps = skull + smoothstep((down - 0.35) / 0.5)[..., None] * (jaw - skull)
        kernels.laid(forward, patches, there + share[..., None] * (steps - there))
    return forward


def _vector(forward: Array) -> Array:
    """(N, H, W, 4): the way here from the frame before, taken to be as long, and the way back from the next."""
    return -array_namespace(forward).concat([forward, forward], axis=-1)


def _of_the_person(moved: Moved, values: np.ndarray) -> Array:
    """Values (N, V, C) of the mesh's vertices at each pixel, 0 beside the person: (N, H, W, C) float32."""
    xp = array_namespace(moved.alpha)
    mine = xp.astype(moved.alpha > MOSTLY, xp.float32)
    whole = Patches.whole(len(values), moved.field.size)
    found = moved.field.carried(values)
    return xp.stack([moved.field.fine(found[:, each], whole) * mine for each in range(found.shape[1])], axis=-1)
