# SPDX-License-Identifier: GPL-3.0-or-later
"""What the .blend keeps of a portrait: its parts and its settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from bpy.props import (  # fmt: skip
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    IntVectorProperty,
    PointerProperty,
    StringProperty,
)
from portrait_shared.consent import Consent
from portrait_shared.disclosure import Disclosure
from portrait_shared.frames.frame_files import whole_prefix

from ..blender import compat
from ..blender.problems import SceneError
from ..driving.properties import CLASSES as DRIVING_CLASSES
from ..driving.properties import PORTRAIT_PG_driving
from ..plane import plane_light
from ..plane.plane_space import PlaneSpace
from ..shots.properties import CLASSES as SHOT_CLASSES
from ..shots.properties import PORTRAIT_PG_shot
from . import engine_choice, face_choice, frame_format, label_choice
from .consents import CLASSES as CONSENT_CLASSES
from .consents import PORTRAIT_PG_consent
from .found_points import CLASSES as POINT_CLASSES
from .found_points import PORTRAIT_PG_found_face, PORTRAIT_PG_point, PORTRAIT_PG_reference, points_in, store_points
from .live_takes import CLASSES as LIVE_CLASSES
from .live_takes import PORTRAIT_PG_live
from .unsaved_place import unsaved_place

DEFAULT_FOLDER = "//portrait_frames"


def _clean_prefix(portrait: PORTRAIT_PG_portrait, _: bpy.types.Context) -> None:
    if (clean := whole_prefix(portrait.frame_prefix)) != portrait.frame_prefix:
        portrait.frame_prefix = clean


def _is_lit(portrait: PORTRAIT_PG_portrait) -> bool:
    return plane_light.is_lit(portrait.plane)


def _set_lit(portrait: PORTRAIT_PG_portrait, lit: bool) -> None:
    plane_light.set_lit(portrait.plane, lit)


class PORTRAIT_PG_portrait(bpy.types.PropertyGroup):
    """A portrait: a photo on a plane, its rig, and how its frames are rendered.

    A photo with several faces can have a portrait for each of them: see `lead`.
    """

    uid: StringProperty(options={"HIDDEN"})
    group: StringProperty(options={"HIDDEN"})  # the same for all portraits of one photo; empty where there is one alone
    plane: PointerProperty(name="Plane", type=bpy.types.Object)
    rig: PointerProperty(name="Rig", type=bpy.types.Object)
    photo: PointerProperty(name="Photo", type=bpy.types.Image)
    photo_digest: StringProperty(options={"HIDDEN"})
    size: IntVectorProperty(name="Size", description="Tells how many pixels wide and high the photo is", size=2, min=0)
    detected: CollectionProperty(type=PORTRAIT_PG_point)
    face: IntProperty(
        name="Face",
        description="Choose which face of the photo is meant: 0 takes the largest, 1 the first from the left",
        default=0,
        min=0,
    )
    face_choice: EnumProperty(**face_choice.CHOICE)
    found: CollectionProperty(
        type=PORTRAIT_PG_found_face
    )  # all faces of the photo, from the left, where it has several
    engine: StringProperty(name="Engine", description="Tells what draws the frames; empty is the server's own choice")
    engine_choice: EnumProperty(**engine_choice.CHOICE)
    references: CollectionProperty(type=PORTRAIT_PG_reference)
    reference_index: IntProperty(name="Photo", description="Tells which further photo is chosen", default=0)
    personal: StringProperty(
        name="Tuning",
        description="Choose what Tune to Person, or `portrait adapt`, has made; empty draws without",
        subtype="FILE_PATH",
        options=compat.path_options(),
    )
    output_folder: StringProperty(
        name="Frames",
        description="Choose the folder of the rendered frames; // is the folder of the .blend",
        subtype="DIR_PATH",
        options=compat.path_options(),
    )
    frame_prefix: StringProperty(
        name="Prefix",
        description="Put this before the number in the names of the frames' files, such as “anna.” for anna.0001.png",
        update=_clean_prefix,
    )
    folder_name: StringProperty(options={"HIDDEN"})  # of the default folder, since the first render: see `frame_folder`
    use_scene_range: BoolProperty(
        name="Scene Range", description="Render the frames that the scene plays", default=True
    )
    frame_start: IntProperty(name="Start", description="Render from this frame on", default=1)
    frame_end: IntProperty(name="End", description="Render up to this frame", default=48)
    frame_step: IntProperty(
        name="Step",
        description="Render each so-manieth frame; strip and plane hold it until the next",
        min=1,
        default=1,
    )
    resolution_percentage: IntProperty(
        name="Resolution", description="Render frames of this size, in parts of the photo's", subtype="PERCENTAGE",
        min=5, max=100, default=100,
    )  # fmt: skip
    matte: BoolProperty(
        name="Cut Out", description="Render the person alone, with a transparent background", default=False
    )
    color_depth: EnumProperty(
        name="Color Depth",
        description="Choose how many bits each color channel of the frames' files has",
        items=(
            ("8", "8", "Write 8 bits, which is enough to look at and makes small files"),
            ("16", "16", "Write 16 bits, for grading: soft shades show no steps, and a photo of 16 bits keeps its own"),
        ),
    )
    file_format: EnumProperty(**frame_format.FORMAT)
    layer_choice: EnumProperty(**frame_format.LAYERS)
    use_label: BoolProperty(**label_choice.USE)
    label_icon: BoolProperty(**label_choice.ICON)
    label_text: StringProperty(**label_choice.TEXT)
    label_corner: EnumProperty(**label_choice.CORNER)
    label_size: FloatProperty(**label_choice.SIZE)
    preview_size: EnumProperty(
        name="Preview Size",
        description="Choose the longer side of the live preview's picture; a smaller one follows faster",
        items=(
            ("256", "256 px", "Draw 256 pixels, which is fastest"),
            ("512", "512 px", "Draw 512 pixels, which is clearer and slower"),
            ("FULL", "Full", "Draw as large as the rendered frames"),
        ),
    )
    use_strip: BoolProperty(options={"HIDDEN"})  # whether the user wants one: see `portrait_strip`
    strip_was_made: BoolProperty(options={"HIDDEN"})
    lit: BoolProperty(
        name="Lit by Scene",
        description="Let the scene's lights and shadows fall on the plane; else it shows the photo's own colors",
        get=_is_lit,
        set=_set_lit,
        options={"SKIP_SAVE"},
    )
    driving: PointerProperty(type=PORTRAIT_PG_driving)
    shot: PointerProperty(type=PORTRAIT_PG_shot)
    consent: PointerProperty(type=PORTRAIT_PG_consent)
    live: PointerProperty(type=PORTRAIT_PG_live)
    rendered_with: StringProperty(options={"HIDDEN"})  # what a server told at the last render: see `portrait_ids.keep`

    @property
    def members(self) -> list[PORTRAIT_PG_portrait]:
        """The portraits of the same photo's faces, this one among them, the leading one first.

        They share plane, frames and strip, and are rendered and previewed together.
        """
        if not self.group:
            return [self]
        return [other for other in self.id_data.talking_portraits.items if other.group == self.group]

    @property
    def lead(self) -> PORTRAIT_PG_portrait:
        """The portrait whose photo, folder and settings count for all of `members`."""
        return self.members[0]

    @property
    def consents(self) -> tuple[Consent, ...]:
        """On what ground each person of `members` is animated, in their order.

        Raises:
            PortraitError: SCENE where a record cannot be used, such as for an end that is no date.
        """
        return tuple(member.consent.record for member in self.members)

    @property
    def group_uid(self) -> str:
        """What folders and strips know the photo's portraits by: the uid of the first one that there was."""
        return self.group or self.uid

    @property
    def space(self) -> PlaneSpace:
        return PlaneSpace(self.size[0], self.size[1])

    @property
    def frame_size(self) -> tuple[int, int]:
        """(width, height) of the rendered frames, pixels."""
        share = self.resolution_percentage / 100
        return max(1, round(self.size[0] * share)), max(1, round(self.size[1] * share))

    @property
    def depth(self) -> int:
        """Bits of each channel of the frames' files, 8 or 16."""
        return int(self.color_depth)

    @property
    def layers(self) -> tuple[str, ...]:
        """Layers of the frames' files, of `portrait_shared.layers.LAYERS`; none where they are pictures."""
        return frame_format.layers_of(self.file_format, self.layer_choice)

    @property
    def disclosure(self) -> Disclosure:
        """What the frames show of having been made."""
        return label_choice.disclosure_of(
            self.use_label, self.label_icon, self.label_text, self.label_corner, self.label_size
        )

    @property
    def frame_suffix(self) -> str:
        """What the names of the frames' files end with."""
        return frame_format.suffix_of(self.layers)

    @property
    def detected_points(self) -> np.ndarray | None:
        """(70, 3) float32 pixels, or None where no face has been found yet."""
        return points_in(self.detected)

    def set_detected_points(self, points: np.ndarray) -> None:
        store_points(self.detected, points)

    def apply_settings(self, settings: Mapping[str, Any]) -> None:
        """Takes over what a strip was made with, see `portrait_strip.settings_of`."""
        self.engine = settings["engine"]
        self.matte = bool(settings["matte"])
        self.color_depth = str(settings.get("depth", 8))  # older strips do not say
        layers = tuple(filter(None, settings.get("layers", "").split(",")))
        self.file_format = "EXR" if layers else "PNG"
        if layers:
            self.layer_choice = frame_format.chosen_of(layers)
        self.resolution_percentage = settings["resolution_percentage"]
        self.use_scene_range = False
        self.frame_start, self.frame_end = settings["frame_start"], settings["frame_end"]
        self.frame_step = settings.get("frame_step", 1)  # older strips do not say
        self.output_folder = settings["folder"]
        self.frame_prefix = settings.get("prefix", "")  # older strips do not say
        label = Disclosure.from_json(settings.get("label", "")).label  # older strips do not say
        self.use_label = label is not None
        if label is not None:
            self.label_icon, self.label_text = label.icon, label.text
            self.label_corner, self.label_size = label.corner, label.size

    def frames(self, scene: bpy.types.Scene) -> range:
        """The frames to render: of the range, each `frame_step`th.

        Raises:
            PortraitError: as `span`.
        """
        return self.span(scene)[:: self.frame_step]

    def span(self, scene: bpy.types.Scene) -> range:
        """All frames of the range that is to be rendered.

        Raises:
            PortraitError: SCENE where there are none.
        """
        first, last = (
            (scene.frame_start, scene.frame_end) if self.use_scene_range else (self.frame_start, self.frame_end)
        )
        if last < first:
            raise SceneError(f"The frame range {first} to {last} is empty.", "Set an end that is not before the start.")
        return self.shot.within(range(first, last + 1)) if self.shot.is_filmed else range(first, last + 1)

    @property
    def preview_frame_size(self) -> tuple[int, int]:
        """(width, height) of the live preview's picture, pixels: never larger than the rendered frames."""
        width, height = self.frame_size
        if self.preview_size == "FULL" or max(width, height) <= int(self.preview_size):
            return width, height
        share = int(self.preview_size) / max(width, height)
        return max(1, round(width * share)), max(1, round(height * share))

    @property
    def folder_text(self) -> str:
        """The folder of the frames, as a .blend keeps paths."""
        return self.output_folder or f"{DEFAULT_FOLDER}/{self.folder_name or bpy.path.clean_name(self.name)}"

    def folder(self) -> Path:
        """Where the frames go, an absolute path. Raises PortraitError as `unsaved_place`: for a .blend never saved."""
        text = self.folder_text
        if text.startswith("//") and not bpy.data.filepath:
            return unsaved_place(text)
        return Path(os.path.realpath(bpy.path.abspath(text)))


CLASSES = (
    *DRIVING_CLASSES, *SHOT_CLASSES, *POINT_CLASSES, *CONSENT_CLASSES, *LIVE_CLASSES, PORTRAIT_PG_portrait
)  # fmt: skip
