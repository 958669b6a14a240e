# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws a posed person with OpenGL: the picture, and where each of its pixels is in another picture."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from portrait_shared.errors import ErrorCode, PortraitError

from portrait_server.corpora.rendered.lights import Light
from portrait_server.corpora.rendered.person import Person, Posed
from portrait_server.corpora.rendered.shaders import LOOKS, SEE_THROUGH, SOLID, VERTEX, look, places

_FINER: Final = 2  # the picture is drawn twice as large, then averaged
_NEAR, _FAR = 5.0, 400.0
_NOISE_CELLS: Final = 64
_FIXED: Final = "3f 4f 1f 2f 1f", ("rest", "tints", "part", "photo", "trust")
_MOVING: Final = "3f 3f 2f", ("position", "normal", "shade")


@dataclass(frozen=True)
class Drawn:
    """One picture of the person alone.

    Attributes:
        color: (S, S, 3) float32, 0 to 255, already weighed by `alpha`; alpha (S, S) float32, 0 to 1.
    """

    color: np.ndarray
    alpha: np.ndarray


class Renderer:
    """One OpenGL context, for one thread of one process."""

    def __init__(self) -> None:
        """Raises: PortraitError: DEVICE_UNAVAILABLE where there is no OpenGL without a window."""
        # A software renderer would start threads for every core, in every worker process.
        os.environ.setdefault("LP_NUM_THREADS", "0")
        try:
            import moderngl
        except ImportError as error:
            raise _no_opengl("the package moderngl is not installed") from error
        try:
            self._context = moderngl.create_context(standalone=True, backend="egl")  # type: ignore[arg-type]
        except Exception as error:
            raise _no_opengl(str(error)) from error
        gl: Any = self._context
        gl.enable(moderngl.DEPTH_TEST)
        gl.front_face = "cw"  # rows are drawn from the bottom up, which mirrors the picture
        self._looks = {name: gl.program(vertex_shader=VERTEX, fragment_shader=look(name)) for name in LOOKS}
        self._places = [gl.program(vertex_shader=VERTEX, fragment_shader=places(cut)) for cut in (False, True)]
        grain = np.random.default_rng(7).integers(0, 256, (_NOISE_CELLS,) * 3 + (4,), np.uint8)
        self._noise = gl.texture3d((_NOISE_CELLS,) * 3, 4, grain.tobytes())
        self._panorama = gl.texture((128, 64), 3, dtype="f2")
        self._side = 0
        self._fine: Any = None
        self._plain: Any = None
        self._person: Person | None = None
        self._uploaded: list[Any] = []

    def picture(self, person: Person, posed: Posed, camera: np.ndarray, light: Light, side: int) -> Drawn:
        """Args: camera: (4, 4) from `camera_matrix`."""
        self._prepare(person, side)
        self._moving.write(_packed(posed.vertices, posed.normals, posed.shade))
        values = {
            **person.look,
            "camera": camera.T.astype("f4").tobytes(),
            "light_way": light.directions.astype("f4").tobytes(),
            "light_color": light.colors.astype("f4").tobytes(),
            "around": light.around.astype("f4").tobytes(),
            "exposure": light.exposure,
            "eye_middle": person.eye_middles.astype("f4").tobytes(),
            "noise": 0,
            "photograph": 1,
            "panorama": 2,
        }
        self._fine.use()
        self._fine.clear(0, 0, 0, 0)
        self._noise.use(0)
        self._photo.use(1)
        self._panorama.write(light.panorama.astype("f2").tobytes())
        self._panorama.use(2)
        for name, array in self._look_arrays.items():
            _set(self._looks[name], values)
            if name == SEE_THROUGH:
                self._lay_over(array)
            else:
                self._render(array, name in SOLID)
        fine = side * _FINER
        pixels = np.frombuffer(self._fine.read(components=4, alignment=1), np.uint8).reshape(fine, fine, 4)
        pixels = cv2.resize(pixels.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
        return Drawn(pixels[..., :3], pixels[..., 3] / 255)

    def places(
        self, person: Person, posed: Posed, other: Posed, camera: np.ndarray, other_camera: np.ndarray, side: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Where each pixel of `posed` is in the picture of `other`, and what it shows.

        Returns:
            (S, S, 2) float32, pixels, and (S, S, 4) float32, the place on the neutral head in centimetres and 1 more
            than the part; all 0 where nobody is.
        """
        self._prepare(person, side)
        self._moving.write(_packed(posed.vertices, posed.normals, posed.shade))
        self._other.write(np.ascontiguousarray(other.vertices, np.float32))
        values = {
            "camera": camera.T.astype("f4").tobytes(),
            "other_camera": other_camera.T.astype("f4").tobytes(),
            "side": float(side),
            "hair_grain": person.look["hair_grain"],
            "noise": 0,
        }
        self._plain.use()
        self._plain.clear(0, 0, 0, 0)
        self._noise.use(0)
        for program, array, solid in zip(self._places, self._places_arrays, (True, False), strict=True):
            _set(program, values)
            self._render(array, solid)
        place, surface = (
            np.frombuffer(self._plain.read(components=4, attachment=number, dtype="f4", alignment=1), np.float32)
            for number in range(2)
        )
        return place.reshape(side, side, 4)[..., :2], surface.reshape(side, side, 4)

    def _prepare(self, person: Person, side: int) -> None:
        gl: Any = self._context
        if side != self._side:
            if self._side:
                for buffer in (self._fine, self._plain):
                    for attachment in (*buffer.color_attachments, buffer.depth_attachment):
                        attachment.release()
                    buffer.release()
            fine = (side * _FINER,) * 2
            self._fine = gl.framebuffer([gl.texture(fine, 4)], gl.depth_renderbuffer(fine))
            both = [gl.texture((side, side), 4, dtype="f4") for _ in range(2)]
            self._plain = gl.framebuffer(both, gl.depth_renderbuffer((side, side)))
            self._side = side
        if person is not self._person:
            self._upload(person)

    def _upload(self, person: Person) -> None:
        gl: Any = self._context
        for thing in self._uploaded:
            thing.release()
        skin = person.skin
        photo = np.zeros((2, 2, 3), np.uint8) if skin is None else skin.image
        self._photo = gl.texture(photo.shape[1::-1], 3, np.ascontiguousarray(photo).tobytes(), alignment=1)
        self._fixed = gl.buffer(_packed(person.rest, person.tints, person.part, person.photo, person.trust))
        self._moving = gl.buffer(reserve=len(person.rest) * 8 * 4)
        self._other = gl.buffer(reserve=len(person.rest) * 3 * 4)
        self._uploaded = [self._photo, self._fixed, self._moving, self._other]
        part = person.part[person.triangles[:, 0]]
        self._look_arrays = {}
        for name, parts in LOOKS.items():
            chosen = person.triangles[np.isin(part, parts)]
            if len(chosen):
                own = gl.buffer(np.ascontiguousarray(chosen, np.int32).tobytes())
                self._look_arrays[name] = gl.vertex_array(self._looks[name], self._shared(self._looks[name]), own)
                self._uploaded += [own, self._look_arrays[name]]
        self._places_arrays = []
        solid = np.isin(part, [kind for name in SOLID for kind in LOOKS[name]])
        loose = ~solid & ~np.isin(part, LOOKS[SEE_THROUGH])
        for program, chosen in zip(self._places, (solid, loose), strict=True):
            own = gl.buffer(np.ascontiguousarray(person.triangles[chosen], np.int32).tobytes())
            array = gl.vertex_array(program, [*self._shared(program), (self._other, "3f", "other")], own)
            self._places_arrays.append(array)
            self._uploaded += [own, array]
        self._person = person

    def _render(self, array: Any, solid: bool) -> None:
        """Draws; of solid parts only what faces the camera."""
        gl: Any = self._context
        if solid:
            gl.enable(gl.CULL_FACE)
        array.render()
        gl.disable(gl.CULL_FACE)

    def _lay_over(self, array: Any) -> None:
        """Draws what lets through what is behind it."""
        gl: Any = self._context
        gl.enable(gl.BLEND)
        gl.blend_func = gl.ONE, gl.ONE_MINUS_SRC_ALPHA
        self._fine.depth_mask = False
        array.render()
        self._fine.depth_mask = True
        gl.disable(gl.BLEND)

    def _shared(self, program: Any) -> list[tuple[Any, ...]]:
        return [(self._fixed, *_attributes(_FIXED, program)), (self._moving, *_attributes(_MOVING, program))]


def camera_matrix(focal: float, middle: np.ndarray, matrix: np.ndarray, side: int) -> np.ndarray:
    """From the camera's space (x right, y down, z away) to a frame's clip space, its first row lowest.

    Args:
        focal: pixels of the photograph; middle (2,) where the optical axis meets it.
        matrix: (2, 3) from the photograph to the frame.
        side: of the frame, pixels.
    """
    linear, shift = matrix[:, :2].astype(float), matrix[:, 2].astype(float)
    clip = np.zeros((4, 4))
    clip[:2, :2] = 2 / side * focal * linear
    clip[:2, 2] = 2 / side * (linear @ middle + shift + 0.5) - 1
    clip[2, 2], clip[2, 3] = (_FAR + _NEAR) / (_FAR - _NEAR), -2 * _FAR * _NEAR / (_FAR - _NEAR)
    clip[3, 2] = 1
    return clip


def _packed(*columns: np.ndarray) -> bytes:
    return np.concatenate([column.reshape(len(column), -1) for column in columns], 1, dtype=np.float32).tobytes()


def _attributes(layout: tuple[str, tuple[str, ...]], program: Any) -> tuple[str, ...]:
    """The layout with padding in place of what the program does not read."""
    formats, names = layout[0].split(), layout[1]
    kept = [name in program for name in names]
    text = " ".join(f if keep else f"{int(f[0]) * 4}x" for f, keep in zip(formats, kept, strict=True))
    return text, *(name for name, keep in zip(names, kept, strict=True) if keep)


def _set(program: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        if name in program:
            if isinstance(value, bytes):
                program[name].write(value)
            else:
                program[name].value = value


def _no_opengl(why: str) -> PortraitError:
    return PortraitError(
        ErrorCode.DEVICE_UNAVAILABLE,
        f"Heads cannot be drawn: {why}.",
        "Install the extra `train` and EGL, on Debian libegl1 and libgl1-mesa-dri, or leave this corpus out.",
    )
