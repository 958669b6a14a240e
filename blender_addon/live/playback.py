# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets a scene play in Blender's window in time with its sound, and puts back what that needed."""

from __future__ import annotations

from typing import Final

import bpy

from ..blender.problems import SceneError

_LAST_FRAME: Final = 1_048_574  # Blender's own


def window_of(scene: bpy.types.Scene) -> bpy.types.Window | None:
    """A window that shows the scene; None where none does, as without windows."""
    if bpy.app.background:
        return None
    return next((window for window in bpy.context.window_manager.windows if window.scene == scene), None)


class ScenePlayback:
    """Plays a scene, see `recorder.Playback`. Between calls it keeps names and no Blender objects, which undo frees."""

    def __init__(self, scene: bpy.types.Scene, past_end: bool) -> None:
        """Args:
        past_end: let it play on after the end of its frame range.
        """
        self._scene_name, self._past_end = scene.name, past_end
        self._before: tuple[str, bool, int, int] | None = None

    def start(self, frame: int) -> None:
        scene = self._scene()
        window = window_of(scene) if scene is not None else None
        if scene is None or window is None:
            raise SceneError(
                "No window of Blender shows the portrait's scene, so it cannot play.",
                "Show the scene in a window, or record without playing.",
            )
        if self.plays():
            self._cancel()
        self.put_on()
        scene.frame_set(frame)
        with bpy.context.temp_override(window=window, screen=window.screen):
            bpy.ops.screen.animation_play(sync=True)

    def plays(self) -> bool:
        return any(window.screen.is_animation_playing for window in bpy.context.window_manager.windows)

    def stop(self) -> None:
        if self.plays():
            self._cancel()
        self.take_off()

    def put_on(self) -> None:
        """Sets the scene to play with its sound, and on after its end where that is wanted."""
        scene = self._scene()
        if scene is None or self._before is not None:
            return
        self._before = (scene.sync_mode, scene.use_preview_range, scene.frame_preview_start, scene.frame_preview_end)
        scene.sync_mode = "FRAME_DROP"  # what counts where there is no sound device
        scene.sync_mode = "AUDIO_SYNC"
        if self._past_end:
            first = scene.frame_preview_start if scene.use_preview_range else scene.frame_start
            scene.use_preview_range = True
            scene.frame_preview_start, scene.frame_preview_end = first, _LAST_FRAME

    def take_off(self) -> None:
        """Puts back what `put_on` changed, where the user has not changed it meanwhile."""
        scene, before, self._before = self._scene(), self._before, None
        if scene is None or before is None:
            return
        if scene.sync_mode == "AUDIO_SYNC":
            scene.sync_mode = before[0]
        if self._past_end and scene.frame_preview_end == _LAST_FRAME:
            scene.frame_preview_start, scene.frame_preview_end = before[2:]
            scene.use_preview_range = before[1]

    def _scene(self) -> bpy.types.Scene | None:
        return bpy.data.scenes.get(self._scene_name)

    def _cancel(self) -> None:
        for window in bpy.context.window_manager.windows:
            if window.screen.is_animation_playing:
                with bpy.context.temp_override(window=window, screen=window.screen):
                    bpy.ops.screen.animation_cancel(restore_frame=False)
