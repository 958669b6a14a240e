# SPDX-License-Identifier: GPL-3.0-or-later
"""What the files of a portrait's frames must carry, told without asking the server: of a photo, and of a filmed shot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from portrait_shared.digest import followed_digest, frame_digest
from portrait_shared.disclosure import USUALLY_SHOWN, Disclosure
from portrait_shared.layers import COLORSPACES, FOLLOWING
from portrait_shared.shots import layered_shot_digest, shot_frame_digest

from ..plane.color_spaces import color_spaces
from ..portraits import shot_parts
from ..portraits.properties import PORTRAIT_PG_portrait
from ..rig.sampling import RigSample, other_faces
from ..shots.filmed import Filmed
from . import portrait_ids


@dataclass(frozen=True)
class OfPhoto:
    """Frames of a photo.

    Attributes:
        known: what a server has told of the portrait.
        size: (width, height) of the frames, pixels.
        layers: of layered frames; none where they are pictures.
        colorspace: that colours of layered frames are written in.
        disclosure: what they show of having been made.
    """

    known: portrait_ids.Known
    size: tuple[int, int]
    matte: bool
    layers: tuple[str, ...] = ()
    colorspace: str = COLORSPACES[0]
    disclosure: Disclosure = USUALLY_SHOWN

    @property
    def photo(self) -> str:
        """Content hash of what they are made of, which their files name."""
        return self.known.photo

    def digests(self, frames: Sequence[int], rows: Sequence[RigSample]) -> list[str | None]:
        """What each frame's file carries if it is done, by itself: see `carried`; None where no file is needed.

        Args:
            frames: (N,) the scene's frames.
            rows: (N,) what the rig says at them.
        """
        portrait = self.known.portrait_id
        return [
            frame_digest(
                portrait, row.points, self.size, self.matte, row.body, other_faces([row]), self.layers, self.colorspace,
                self.disclosure,
            )
            for row in rows
        ]  # fmt: skip

    @property
    def follows(self) -> bool:
        """Whether each frame depends on the next as well."""
        return not FOLLOWING.isdisjoint(self.layers)

    def carried(self, own: str, following: str) -> str:
        """What a frame's file carries, by what `digests` says of it and of the next one that is rendered."""
        return followed_digest(own, following) if self.follows else own


@dataclass(frozen=True)
class OfShot:
    """Frames of a shot: those that are as filmed need no file, but where it holds layers.

    Attributes:
        filmed: compared by identity: it is another one once the points or the rig's rest are.
        start: the scene's frame at which the shot begins.
        engine: name and fingerprint of what draws; None where that is not known.
        depth: bits a channel.
        layers, colorspace, disclosure: as `OfPhoto` has them.
    """

    filmed: Filmed
    start: int
    engine: tuple[str, str] | None
    depth: int
    layers: tuple[str, ...] = ()
    colorspace: str = COLORSPACES[0]
    disclosure: Disclosure = USUALLY_SHOWN

    @property
    def follows(self) -> bool:
        """As `OfPhoto.follows`."""
        return not FOLLOWING.isdisjoint(self.layers)

    def carried(self, own: str, following: str) -> str:
        """As `OfPhoto.carried`; empty where it is not known."""
        if not self.layers or self.engine is None:
            return own
        return layered_shot_digest(own, following, *self.engine, self.filmed.digest, self.layers, self.colorspace)

    @property
    def photo(self) -> str:
        """As `OfPhoto.photo`."""
        return self.filmed.identity.digest

    def digests(self, frames: Sequence[int], rows: Sequence[RigSample]) -> list[str | None]:
        """As `OfPhoto.digests`; empty where it is not known."""
        at = [frame - self.start for frame in frames]
        targets = self.filmed.targets(at, rows)
        changed = self.filmed.changed(at, targets)
        points = self.filmed.track.points
        return [
            (self._digest(index, target, points[index]) if is_changed or self.layers else None)
            for index, target, is_changed in zip(at, targets, changed, strict=True)
        ]

    def _digest(self, index: int, target: np.ndarray, found: np.ndarray) -> str:
        if self.engine is None:
            return ""
        filmed = self.filmed
        return shot_frame_digest(
            *self.engine, filmed.identity.digest, filmed.digest, index, target, found, depth=self.depth,
            disclosure=self.disclosure,
        )  # fmt: skip


def expected(portrait: PORTRAIT_PG_portrait) -> OfPhoto | OfShot | None:
    """None where only a server can tell.

    Raises:
        PortraitError: as `shot_parts.points_of`, `portrait_ids.known`.
    """
    shot, layers = portrait.shot, portrait.layers
    colorspace = color_spaces().written if layers else COLORSPACES[0]
    if not shot.is_filmed:
        known = portrait_ids.known(portrait)
        if known is None:
            return None
        return OfPhoto(known, portrait.frame_size, portrait.matte, layers, colorspace, portrait.disclosure)
    engine = portrait_ids.engine_of_shot(portrait)
    points = shot_parts.points_of(portrait)
    return OfShot(points, shot.start, engine, portrait.depth, layers, colorspace, portrait.disclosure)
