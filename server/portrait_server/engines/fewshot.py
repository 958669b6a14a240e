# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine with weights: the `portrait` generator mends the warp's draft, from what 1 to 32 photographs show."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.personal import PersonalFile
from portrait_shared.protocol.references import MAX_REFERENCES

from portrait_server.drawing.frame import aligned_draft, composite, move
from portrait_server.drawing.motion import Motion, motion_of
from portrait_server.drawing.scene import Scene, resized
from portrait_server.engines.base import Engine, Reference
from portrait_server.engines.batches import Batches, OneByOne, batches_on
from portrait_server.engines.fewshot_frame import Drawing, Layers, drawing_of, mended, windows
from portrait_server.engines.layer_memory import LayerMemory
from portrait_server.engines.warp import WARP_VERSION, WarpEngine, WarpPortrait, checked_points
from portrait_server.geometry.alignment import aligned_transform, crop, scale_of, transform_points, with_depth
from portrait_server.kernels.base import Array
from portrait_server.kernels.levels import levels
from portrait_server.media.images import opaque
from portrait_server.networks.output import Output, References
from portrait_server.networks.personal import apply_personal, from_file
from portrait_server.networks.portrait_generator import Features, PortraitGenerator
from portrait_server.networks.traced import TracedGenerator
from portrait_server.networks.weights_file import load

_CODE_VERSION = 11
_MIXED_RIM = 0.005  # of a photo's longer side: along the person's edge colours are mixed with what lies behind
_MOST_WORKERS = 4
_FRAMES_OF_A_BATCH = 8  # on the processor: at its end workers wait for the last of them


@dataclass
class FewshotPortrait:
    """What the engine keeps of its references.

    Attributes:
        photos: each reference with its matte; the first one's pixels are the portrait's.
        matrices: (K, 2, 3) from each photo to the aligned frame.
        features, style: what the networks make of them.
        layers: where what frames are drawn from is kept.
    """

    photos: list[WarpPortrait]
    matrices: np.ndarray
    features: Features
    style: torch.Tensor
    layers: LayerMemory = field(default_factory=LayerMemory)

    def at(self, size: tuple[int, int]) -> Layers:
        """The layers at (width, height) pixels."""
        sizes = self._other_sizes(size)
        matrices = [_for_scaled(self.matrices[0], _scaling(self.photos[0], size))]
        for photo, matrix, smaller in zip(self.photos[1:], self.matrices[1:], sizes, strict=True):
            matrices.append(_for_scaled(matrix, _scaling(photo, smaller)))
        others = self.layers.get(self, size, self._other_bytes(sizes), lambda: self._others(sizes)) if sizes else []
        window = windows(self.features.references.images.shape[-1])
        return Layers(self.photos[0].scene(size), np.stack(matrices), others, *window)

    def layer_bytes(self, size: tuple[int, int]) -> int:
        """About what the layers at (width, height) take."""
        return self.photos[0].scene_bytes(size) + self._other_bytes(self._other_sizes(size))

    def _other_bytes(self, sizes: list[tuple[int, int]]) -> int:
        level = 1 if self.photos[0].image.dtype == np.uint8 else 4
        return sum(width * height * 4 * level for width, height in sizes)

    def _other_sizes(self, size: tuple[int, int]) -> list[tuple[int, int]]:
        return [self._other_size(number, size) for number in range(1, len(self.photos))]

    def _other_size(self, number: int, size: tuple[int, int]) -> tuple[int, int]:
        """How large a further photo is kept for frames of (width, height): no finer than they will show it, for a photo
        sampled at fewer pixels than it has shimmers."""
        finest = scale_of(self.matrices[0]) / float(_scaling(self.photos[0], size).max())
        height, width = self.photos[number].image.shape[:2]
        shrink = min(1.0, scale_of(self.matrices[number]) / finest)
        return max(1, round(width * shrink)), max(1, round(height * shrink))

    def _others(self, sizes: list[tuple[int, int]]) -> list[np.ndarray]:
        others = []
        for photo, size in zip(self.photos[1:], sizes, strict=True):
            height, width = photo.image.shape[:2]
            inner = cv2.erode(np.round(photo.matte * 255).astype(np.uint8), _mixed_rim(width, height))
            others.append(np.dstack([resized(opaque(levels(photo.image)), size), resized(inner, size)]))
        return others


@dataclass(frozen=True)
class _Targets:
    """Where frames of one size shall show the head.

    Attributes:
        motion: of the scene, N frames.
        matrices: (N, 2, 3) from the frames' pixels to the aligned frames.
        points: (N, 70, 3) float32, pixels of the aligned frames.
    """

    motion: Motion
    matrices: np.ndarray
    points: np.ndarray

    def only(self, frames: slice) -> _Targets:
        """Of some of the frames."""
        return _Targets(self.motion.only(frames), self.matrices[frames], self.points[frames])


class FewshotEngine(Engine):
    """The warp's draft, mended by networks.

    Attributes:
        networks: embedder and generator.
        checksum: of their weights, before any tuning.
        side: of the aligned frame, pixels.
    """

    name = "fewshot"

    def __init__(
        self, device: str, weights: Path, batches: Batches | None = None, layers: LayerMemory | None = None
    ) -> None:
        """Loads the weights.

        Args:
            device: of the networks, as torch names it.
            batches: how frames are drawn around them; as usual on the device where None.

        Raises:
            PortraitError: WEIGHTS_MISSING, BAD_WEIGHTS.
        """
        self.networks, info = load(weights, device)
        if not info.configuration.copies:
            raise PortraitError(
                ErrorCode.BAD_WEIGHTS,
                f"{weights} holds the configuration {info.configuration.name!r}; the engine draws with `portrait`.",
                "Train with the configuration `portrait`.",
            )
        self.device = torch.device(device)
        self.side = info.configuration.side
        self.checksum = info.checksum
        self.fingerprint = f"fewshot-{_CODE_VERSION}-{WARP_VERSION}-{self.device.type}-{info.checksum[:16]}"
        # A tenth faster on a CPU, and what a GPU's convolutions want. Compiling the refinement took the networks on a
        # CPU from 58 to 46 ms a picture, but half a minute before the first one, and needs a C++ compiler.
        self.networks = self.networks.to(memory_format=torch.channels_last)
        self._style: torch.Tensor | None = None
        self._layers = layers or LayerMemory()
        self._warp = WarpEngine(layers=self._layers)
        batches = batches or batches_on(device)
        self._workers = _single_threaded(_MOST_WORKERS if batches is None else 1)
        self._batches = batches or OneByOne(self._workers.map, _FRAMES_OF_A_BATCH)
        self._draw = self._way_to_draw()
        self.batch_size, self.batch_pixels = self._batches.most_frames, self._batches.most_pixels

    def tuned(self, file: PersonalFile) -> FewshotEngine:
        """This engine tuned to one person by a file of `portrait adapt`; itself is left as it was.

        Raises:
            PortraitError: BAD_WEIGHTS for a damaged file, or one made for other weights.
        """
        personal = from_file(file)
        tuned = copy.copy(self)
        tuned.networks = apply_personal(self.networks, personal, self.checksum)
        tuned._draw = tuned._way_to_draw()
        tuned._style = personal.style.to(self.device)[None]
        tuned.fingerprint = f"{self.fingerprint}-{file.digest[:16]}"
        return tuned

    def _way_to_draw(self) -> Callable[..., Output]:
        generator = self.networks.generator
        assert isinstance(generator, PortraitGenerator)
        # Recorded, it would be of no use in the one thread that waits for a device.
        return TracedGenerator(generator).draw if isinstance(self._batches, OneByOne) else generator.draw

    def prepare(self, references: Sequence[Reference]) -> FewshotPortrait:
        if not 1 <= len(references) <= MAX_REFERENCES:
            raise PortraitError(
                ErrorCode.BAD_IMAGE, f"A portrait is made of 1 to {MAX_REFERENCES} references, not {len(references)}.",
                "Choose the sharpest, in different poses and with different expressions.",
            )  # fmt: skip
        photos = [self._warp.prepare([reference]) for reference in references]
        placed = [with_depth(checked_points(reference.points[None])[0]) for reference in references]
        matrices = np.stack([aligned_transform(points, self.side) for points in placed])
        points = np.stack([transform_points(m, p) for m, p in zip(matrices, placed, strict=True)])
        images, mattes = [], []
        for photo, matrix in zip(photos, matrices, strict=True):
            images.append(crop(opaque(levels(photo.image)), matrix, self.side))
            mattes.append(crop(np.round(photo.matte * 255).astype(np.uint8), matrix, self.side))
        aligned = References(
            images=self._tensor(np.stack(images)).permute(0, 3, 1, 2)[None] / 255,
            points=self._tensor(points)[None],
            mattes=self._tensor(np.stack(mattes))[None, :, None] / 255,
        )
        features, style = self._workers.submit(self._encoded, aligned).result()
        return FewshotPortrait(photos, matrices, features, style, self._layers)

    @torch.inference_mode()
    def _encoded(self, aligned: References) -> tuple[Features, torch.Tensor]:
        """One reference at a time, so that 32 take no more memory than one."""
        each = [aligned.only(number) for number in range(aligned.images.shape[1])]
        parts = [self.networks.generator.encode(one) for one in each]
        style = self._style
        if style is None:
            embeddings = [self.networks.embedder(one.images, one.points) for one in each]
            style = self.networks.generator.style(torch.stack(embeddings).mean(0))
        return Features.joined(aligned, parts), style

    def render(
        self, portrait: FewshotPortrait, points: np.ndarray, size: tuple[int, int], matte: bool,
        body: np.ndarray | None = None,
    ) -> np.ndarray:  # fmt: skip
        size, batches = (int(size[0]), int(size[1])), self._batches

        def drawn(targets: np.ndarray, bodies: np.ndarray | None) -> np.ndarray:
            layers = batches.layers(portrait, size, portrait.layer_bytes(size), lambda: portrait.at(size))
            where = self._targets(layers.scene, targets, bodies)
            return batches.frames(
                len(targets), size[0] * size[1], lambda part: self._drawn(portrait, layers, where.only(part), matte)
            )

        return portrait.photos[0].frames(points, size, matte, body, drawn)

    def _targets(self, scene: Scene, points: np.ndarray, body: np.ndarray | None) -> _Targets:
        """Of points (N, 70, 2 or 3), pixels of the first reference, and bodies (N, 2)."""
        matrices = aligned_transform(points, self.side)
        return _Targets(
            motion_of(scene, points, body), _for_scaled(matrices, scene.scale),
            transform_points(matrices, with_depth(points)),
        )  # fmt: skip

    @torch.inference_mode()
    def _drawn(self, portrait: FewshotPortrait, layers: Layers, targets: _Targets, matte: bool) -> Array:
        """Frames (N, height, width, 3 or 4), where the kernels have their pixels."""
        kernels, scene = self._batches.kernels, layers.scene
        moved = move(kernels, scene, targets.motion)
        drafts = aligned_draft(kernels, scene, moved, targets.matrices, self.side)
        mended(kernels, layers, moved, targets.matrices, self._drawing(portrait, targets.points, drafts))
        return composite(kernels, scene, moved, matte)

    def _drawing(self, portrait: FewshotPortrait, points: np.ndarray, drafts: Array) -> Drawing:
        """What the networks draw for points (N, 70, 3) and drafts (N, S, S, 4)."""
        on_host = isinstance(drafts, np.ndarray)
        count = len(portrait.photos)
        at_once = max(1, self._batches.pictures_at_once(len(points) * count) // count)
        # Filled up, the last of them as well: in a smaller one torch may sum in another order and change the last bits.
        filled = np.minimum(np.arange(-(-len(points) // at_once) * at_once), len(points) - 1)
        goals = self._batches.kernels.put(points[filled])
        if on_host:
            goals, drafts = torch.from_numpy(goals), torch.from_numpy(drafts)
        elif len(filled) > len(points):
            drafts = drafts[self._batches.kernels.put(filled)]
        pictures = drafts.to(torch.float32).permute(0, 3, 1, 2) / 255
        features, style = portrait.features.repeated(at_once), portrait.style.expand(at_once, -1)
        # Sixteen bits keep a frame within 1 of 255 on all but some 0.01 % of its pixels; bfloat16 on all but 0.1 %.
        with torch.autocast(self.device.type, torch.float16, enabled=self.device.type != "cpu"):
            outputs = [
                self._draw(features, goal, style, picture)
                for goal, picture in zip(goals.split(at_once), pictures.split(at_once), strict=True)
            ]
        return drawing_of(outputs, len(points), on_host)

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device, torch.float32)


def _mixed_rim(width: int, height: int) -> np.ndarray:
    """The kernel that erodes a matte by the rim whose colours are mixed with what lies behind."""
    across = 2 * max(1, round(_MIXED_RIM * max(width, height))) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (across, across))


def _scaling(photo: WarpPortrait, size: tuple[int, int]) -> np.ndarray:
    """Pixels (2,) of a picture of (width, height) in one of the photo's."""
    return np.array([size[0] / photo.image.shape[1], size[1] / photo.image.shape[0]])


def _for_scaled(matrix: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Affines (…, 2, 3) from a picture, for the picture resized by `scale` (2,): (…, 2, 3) float64."""
    back, linear = 1 / scale, matrix[..., :2].astype(float)
    shift = matrix[..., 2] + linear @ (back / 2 - 0.5)
    return np.concatenate([linear * back, shift[..., None]], -1)


def _single_threaded(workers: int) -> ThreadPoolExecutor:
    """Threads whose torch does not start further ones.

    Frames side by side need no barriers. Threads inside one frame wait for one another at every layer: on cores
    that something else uses too (Blender, say) that took seventeen times as long as a single thread.
    """
    # The calling thread keeps its number, which torch settles here at the latest. MKL has one for all threads: were that
    # set back, its products would start threads of their own beside each worker.
    torch.get_num_threads()
    return ThreadPoolExecutor(min(workers, os.cpu_count() or 1), "fewshot", partial(torch.set_num_threads, 1))
