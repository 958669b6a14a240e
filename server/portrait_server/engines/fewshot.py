# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine with weights: painters mend mouth and eyes of the warp's draft, by what 1 to 32 photographs show."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.other_faces import OtherFaces
from portrait_shared.personal import PersonalFile
from portrait_shared.protocol.references import MAX_REFERENCES
from torch import Tensor

from portrait_server.drawing.frame import Moved, composite, move
from portrait_server.drawing.layers import draw_layers
from portrait_server.drawing.lent_mouth import most_open
from portrait_server.drawing.light import lit
from portrait_server.drawing.motion import Motion, motion_of
from portrait_server.drawing.painting import Placed, place
from portrait_server.drawing.scene import Scene
from portrait_server.engines.base import DrivenPhoto, Engine, Reference
from portrait_server.engines.batches import Batches, OneByOne, batches_on
from portrait_server.engines.fewshot_portrait import FewshotPortrait, Known, Shown
from portrait_server.engines.layer_memory import LayerMemory
from portrait_server.engines.people import PeoplePortrait, Person
from portrait_server.engines.warp import WarpEngine, warp_fingerprint
from portrait_server.engines.warp_portrait import WarpPortrait, with_following
from portrait_server.geometry.crops import LEFT_EYE, MOUTH, RIGHT_EYE, Crop
from portrait_server.geometry.head_mesh import HeadMesh
from portrait_server.kernels.base import Array
from portrait_server.kernels.opencv import OpenCV
from portrait_server.networks.device import torch_device, usable_cores
from portrait_server.networks.painters import PARTS, load
from portrait_server.networks.personal import apply_personal, from_file
from portrait_server.networks.traced import TracedPainter

_CODE_VERSION = 12
_MOST_WORKERS = 4
_FRAMES_OF_A_BATCH = 8  # on the processor: at its end workers wait for the last of them
_CROPS: Final[dict[str, tuple[Crop, ...]]] = {"mouth": (MOUTH,), "eye": (RIGHT_EYE, LEFT_EYE)}


class FewshotEngine(Engine):
    """The warp's draft, its mouth and eyes mended by painters.

    Attributes:
        painters: the networks.
        checksum: of their weights, before any tuning.
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
        self.device = torch_device(device)
        self.painters, info = load(weights, self.device)
        self.checksum = info.checksum
        with weights.open("rb") as file:
            self.weights = (hashlib.file_digest(file, "sha256").hexdigest(),)
        # “cpu” whatever draws: when devices had fingerprints of their own, it was the processor's, whose frames stay valid.
        self.fingerprint = f"fewshot-{_CODE_VERSION}-{warp_fingerprint()}-cpu-{info.checksum[:16]}"
        # A fifth faster on a CPU, and what a GPU's convolutions want.
        self.painters = self.painters.to(memory_format=torch.channels_last)
        self._layers = layers or LayerMemory()
        self._warp = WarpEngine(layers=self._layers)
        batches = batches or batches_on(device)
        self._workers = _single_threaded(_MOST_WORKERS if batches is None else 1)
        self._batches = batches or OneByOne(self._workers.map, _FRAMES_OF_A_BATCH)
        self._mend = self._ways_to_mend()
        self._untuned = self
        self.batch_size, self.batch_pixels = self._batches.most_frames, self._batches.most_pixels

    def tuned(self, file: PersonalFile) -> FewshotEngine:
        """This engine tuned to one person by a file of `portrait adapt`; itself is left as it was.

        Raises:
            PortraitError: BAD_WEIGHTS for a damaged file, or one made for other weights.
        """
        tuned = copy.copy(self)
        tuned.painters = apply_personal(self.painters, from_file(file), self.checksum)
        tuned._mend = tuned._ways_to_mend()
        tuned.fingerprint = f"{self.fingerprint}-{file.digest[:16]}"
        return tuned

    def _ways_to_mend(self) -> list[Callable[..., tuple[Tensor, Tensor]]]:
        """Of each of `PARTS`."""
        painters = [getattr(self.painters, part) for part in PARTS]
        # Recorded, they would be of no use in the one thread that waits for a device.
        on_host = isinstance(self._batches, OneByOne)
        return [TracedPainter(painter).mended if on_host else painter.mended for painter in painters]

    def prepare(
        self, references: Sequence[Reference], others: np.ndarray | None = None
    ) -> FewshotPortrait | PeoplePortrait:
        if not 1 <= len(references) <= MAX_REFERENCES:
            raise PortraitError(
                ErrorCode.BAD_IMAGE, f"A portrait is made of 1 to {MAX_REFERENCES} references, not {len(references)}.",
                "Choose the sharpest, in different poses and with different expressions.",
            )  # fmt: skip
        if others is None:
            return self._made_of(self._warp.photo_of(references[0]), references)
        people = []
        for person in self._warp.people_of(references[0], others).people:
            assert isinstance(person.photo, WarpPortrait)
            # Of what others hide of this one, it knows what was made up, not the others' pixels.
            own = Reference(person.photo.image, person.photo.mesh.points.astype(np.float32))
            further = references[1:] if person.face == 0 else []
            made = self._painting(person)._made_of(person.photo, [own, *further])
            people.append(replace(person, portrait=made))
        return PeoplePortrait(tuple(people))

    def _painting(self, person: Person) -> FewshotEngine:
        """What paints one of several people: tuned, if at all, to the first."""
        return self if person.face == 0 else self._untuned

    def _made_of(self, photo: WarpPortrait, references: Sequence[Reference]) -> FewshotPortrait:
        """What is kept of photos of one person, the first of which is prepared."""
        return FewshotPortrait(photo, self._all_known(references), self._opened(photo, references[1:]), self._layers)

    def prepare_frame(self, frame: Reference) -> FewshotPortrait:
        return FewshotPortrait(self._warp.prepare_frame(frame), self._all_known([frame]), None, self._layers)

    def _all_known(self, references: Sequence[Reference]) -> tuple[Known, ...]:
        shown = [Shown.of(reference) for reference in references]
        return self._workers.submit(lambda: tuple(self._known(part, shown) for part in PARTS)).result()

    def _opened(self, first: WarpPortrait, others: Sequence[Reference]) -> tuple[np.ndarray, HeadMesh] | None:
        """What shows the inside of a mouth that the first photo keeps shut, if one does."""
        best = most_open(first.mesh, [reference.points for reference in others])
        if best is None:
            return None
        image, _, head = self._warp.person_of(others[best])
        return image, head

    @torch.inference_mode()
    def _known(self, part: str, shown: Sequence[Shown]) -> Known:
        pictures, rasters = (
            self._tensor(np.stack([[getattr(photo, kind)[crop.name] for photo in shown] for crop in _CROPS[part]]))
            for kind in ("crops", "rasters")
        )  # (C, K, S, S, 3 and 2)
        pictures, rasters = (each.permute(0, 1, 4, 2, 3) / 255 for each in (pictures, rasters))
        return Known(pictures[:, 0], rasters[:, 0], getattr(self.painters, part).styled(pictures, rasters))

    def driven_photo(self, portrait: FewshotPortrait | PeoplePortrait) -> DrivenPhoto:
        return _photo_of(portrait).driven_photo

    def render(
        self, portrait: FewshotPortrait | PeoplePortrait, points: np.ndarray, size: tuple[int, int], matte: bool,
        body: np.ndarray | None = None, others: OtherFaces | None = None,
    ) -> np.ndarray:  # fmt: skip
        size, batches = (int(size[0]), int(size[1])), self._batches
        if isinstance(portrait, PeoplePortrait):
            return portrait.frames(batches, points, size, matte, body, others, self._mover)
        photo = portrait.photo

        def drawn(targets: np.ndarray, bodies: np.ndarray | None) -> np.ndarray:
            scene = batches.layers(portrait, size, photo.scene_bytes(size), lambda: portrait.scene(size))
            motion = motion_of(scene, targets, bodies)
            return batches.frames(
                len(targets), size[0] * size[1],
                lambda part: composite(
                    batches.kernels, scene, self._moved(portrait, scene, motion.only(part), targets[part]), matte
                ),
            )  # fmt: skip

        return photo.frames(points, size, matte, body, drawn)

    def render_layers(
        self, portrait: FewshotPortrait | PeoplePortrait, points: np.ndarray, size: tuple[int, int], matte: bool,
        layers: Sequence[str], body: np.ndarray | None = None, others: OtherFaces | None = None,
    ) -> np.ndarray:  # fmt: skip
        size, batches = (int(size[0]), int(size[1])), self._batches
        if isinstance(portrait, PeoplePortrait):
            return portrait.layered(batches, points, size, matte, layers, body, others, self._mover)
        photo = portrait.photo

        def drawn(targets: np.ndarray, bodies: np.ndarray | None) -> np.ndarray:
            scene = batches.layers(portrait, size, photo.scene_bytes(size), lambda: portrait.scene(size))
            motion, following = with_following(motion_of(scene, targets, bodies), layers)

            def draw(part: slice) -> Array:
                moved = self._moved(portrait, scene, motion.only(part), targets[part])
                return draw_layers(batches.kernels, scene, moved, following and following.only(part), layers, matte)

            return batches.frames(len(motion), size[0] * size[1], draw)

        return photo.layered(points, size, matte, layers, body, drawn)

    def _mover(self, person: Person, scene: Scene, motion: Motion, points: np.ndarray) -> Moved:
        return self._painting(person)._moved(person.portrait, scene, motion, points)

    @torch.inference_mode()
    def _moved(self, portrait: FewshotPortrait, scene: Scene, motion: Motion, points: np.ndarray) -> Moved:
        """The person in frames for points (N, 70, 2 or 3), painted."""
        kernels = self._batches.kernels
        moved = move(kernels, scene, motion)
        moved = replace(moved, draft=moved.person + 0)
        for part, known, mend in zip(PARTS, portrait.known, self._mend, strict=True):
            crops = [place(crop, points, scene) for crop in _CROPS[part]]
            shifts, colours = self._mended(mend, known, scene, moved, crops)
            for number, crop in enumerate(crops):
                crop.lay(kernels, scene, moved, shifts[:, number], colours[:, number])
        return lit(kernels, scene, moved)

    def _mended(
        self,
        mend: Callable[..., tuple[Tensor, Tensor]],
        known: Known,
        scene: Scene,
        moved: Moved,
        crops: Sequence[Placed],
    ) -> tuple[Array, Array]:
        """Shifts (N, C, S, S, 2) and colours (N, C, S, S, 3) of C crops in N frames, float32."""
        kernels, count = self._batches.kernels, len(moved.person)
        drafts = self._pictures([crop.draft(kernels, scene, moved) for crop in crops])
        rasters = self._pictures([crop.raster(kernels) for crop in crops])
        at_once = max(1, self._batches.pictures_at_once(count * len(crops)) // len(crops))
        # Filled up, the last of them as well: in a smaller one torch may sum in another order and change the last bits.
        if missing := -count % at_once:
            drafts, rasters = (
                torch.cat([each, each[-1:].expand(missing, *each.shape[1:])]) for each in (drafts, rasters)
            )
        same = known.of_frames(at_once)
        # Sixteen bits keep a frame within 1 of 255 on all but some 0.01 % of its pixels; bfloat16 on all but 0.1 %.
        with torch.autocast(self.device.type, torch.float16, enabled=self.device.type != "cpu"):
            painted = [
                mend(draft.flatten(0, 1), raster.flatten(0, 1), *same)
                for draft, raster in zip(drafts.split(at_once), rasters.split(at_once), strict=True)
            ]
        shift, colour = (
            torch.cat(parts).unflatten(0, (-1, len(crops)))[:count].permute(0, 1, 3, 4, 2).contiguous()
            for parts in zip(*painted, strict=True)
        )
        return (shift.numpy(), colour.numpy()) if isinstance(kernels, OpenCV) else (shift, colour)

    def _pictures(self, crops: Sequence[Array]) -> Tensor:
        """C crops (N, S, S, c), 0 to 255, as tensors (N, C, c, S, S), 0 to 1."""
        tensors = [torch.from_numpy(crop) if isinstance(crop, np.ndarray) else crop for crop in crops]
        return torch.stack(tensors, 1).to(torch.float32).permute(0, 1, 4, 2, 3) / 255

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device, torch.float32)


def _single_threaded(workers: int) -> ThreadPoolExecutor:
    """Threads whose torch does not start further ones.

    Frames side by side need no barriers. Threads inside one frame wait for one another at every layer: on cores
    that something else uses too (Blender, say) that took seventeen times as long as a single thread.
    """
    # The calling thread keeps its number, which torch settles here at the latest. MKL has one for all threads: were that
    # set back, its products would start threads of their own beside each worker.
    torch.get_num_threads()
    return ThreadPoolExecutor(min(workers, usable_cores()), "fewshot", partial(torch.set_num_threads, 1))


def _photo_of(portrait: FewshotPortrait | PeoplePortrait) -> WarpPortrait | PeoplePortrait:
    return portrait if isinstance(portrait, PeoplePortrait) else portrait.photo
