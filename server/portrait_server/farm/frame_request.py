# SPDX-License-Identifier: GPL-3.0-or-later
"""What frames are asked for: the files that they are made of, and how they shall be. The same for one render and a job."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from portrait_shared.disclosure import USUALLY_SHOWN, Disclosure
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.frames.frame_files import LAYERED, PICTURES
from portrait_shared.layers import COLORSPACES

_OF_PHOTOS = ("reference_points", "size", "matte", "photo_digest")


@dataclass(frozen=True)
class FrameRequest:
    """Frames of photos that move, or of a filmed shot; as `portrait render` takes them, whose options the fields are.

    Attributes:
        tracks: landmarks of each frame, of each face that is driven.
        references: photos, the first is the picture that moves; none where there is a plate.
        reference_points: of each face of the first photo, then of each further photo; none where they are to be found.
        plate: a filmed shot, see `portrait_shared.shots`.
        plate_points: of each of its frames; None where they are to be found.
        faces: which one each track drives, see `DrivenFaces`; of a plate the one to be found.
        personal: what tunes the engine to the person.
        frames: their numbers; None for all of the first track.
        engine: its name; the default one where None.
        size: longer side of the frames, or width and height, pixels; as the track's where None.
        depth: bits a channel.
        matte: whether frames have the person's alpha.
        layers: of layered files, see `portrait_shared.layers.LAYERS`; none where files are pictures.
        colorspace: that the colours of those are written in.
        photo_digest: what frames name as their photo, see `store_frames`; as it is read here where None.
        disclosure: what frames show of having been made.

    Raises:
        PortraitError: BAD_CONFIGURATION for options that do not go together.
    """

    tracks: tuple[Path, ...]
    references: tuple[Path, ...] = ()
    reference_points: tuple[Path, ...] = ()
    plate: Path | None = None
    plate_points: Path | None = None
    faces: tuple[int, ...] = ()
    personal: Path | None = None
    frames: tuple[int, ...] | None = None
    engine: str | None = None
    size: int | tuple[int, int] | None = None
    depth: Literal[8, 16] = 8
    matte: bool = False
    layers: tuple[str, ...] = ()
    colorspace: str = COLORSPACES[0]
    photo_digest: str | None = None
    disclosure: Disclosure = USUALLY_SHOWN

    def __post_init__(self) -> None:
        if self.plate is None:
            if self.plate_points is not None:
                raise PortraitError(
                    ErrorCode.BAD_CONFIGURATION, "--plate-points are of a --plate.", "Give the shot, too."
                )
            return
        refused = [name for name in _OF_PHOTOS if getattr(self, name)]
        if len(self.faces) > (self.plate_points is None):
            refused.append("face")
        if len(self.tracks) > 1:
            refused.append("track")
        if refused:
            raise not_of_plates(refused[0])

    @property
    def suffix(self) -> str:
        """What the names of the frames' files end with."""
        return LAYERED if self.layers else PICTURES


def not_of_plates(option: str) -> PortraitError:
    """The error for an option, such as ``size``, that only frames of photos have."""
    return PortraitError(
        ErrorCode.BAD_CONFIGURATION,
        f"{'A second ' if option == 'track' else ''}--{option.replace('_', '-')} does not go with --plate.",
        "Leave it out: of a shot one face is drawn, as large as the shot is, without a server.",
    )
