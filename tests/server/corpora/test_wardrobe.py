# SPDX-License-Identifier: GPL-3.0-or-later
"""What made-up people wear and stand in: hairs that fit any head, brows that follow it, light of real places."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from portrait_server.corpora.rendered.body import Piece, brows
from portrait_server.corpora.rendered.head_model import HeadModel, Part
from portrait_server.corpora.rendered.heads import RenderedHeads
from portrait_server.corpora.rendered.lights import Places, lamps
from portrait_server.corpora.rendered.makehuman import read_clothes
from portrait_server.corpora.rendered.wardrobe import Wardrobe
from portrait_server.media.panoramas import read_panorama
from portrait_shared.errors import ErrorCode, PortraitError
from scipy.spatial import cKDTree

from tests import paths

BASE = "v -1 0 0\nv 1 0 0\nv 0 2 0\nv 0 0 2\n"
CAPE = "v 9 9 9\nv 9 9 9\nv 9 9 9\nvt 0 0\nvt 1 0\nvt 0 1\nvt 1 1\nf 1/1 2/2 3/3\nf 1/4 3/3 2/2\n"
WORN = "# a comment\nname cape\nx_scale 0 1 1.0\ny_scale 0 2 2.0\nz_scale 0 3 2.0\nverts 0\n2\n0 1 2 0.5 0.5 0.0 0.25 0.1 0.0\n3\n"


@pytest.fixture(scope="module")
def wardrobe() -> Wardrobe:
    folder = paths.makehuman()
    if folder is None:
        pytest.skip("hairs are not beside the repository")
    return Wardrobe.load(folder / "meshes")


def worn(wardrobe: Wardrobe, model: HeadModel) -> dict[str, Piece]:
    return {name: wardrobe.hair(name, model, model.vertices) for name in wardrobe.hairs}


def test_a_cape_hangs_where_its_file_says(tmp_path: Path) -> None:
    folder = tmp_path / "cape"
    folder.mkdir()
    (folder / "cape.obj").write_text(CAPE)
    (folder / "cape.mhclo").write_text(WORN)
    base = np.array([[-1, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 2.0]])
    mesh = read_clothes(folder, base)
    # The first corner has two places in the texture, so it is there twice. Two decimetres of the base are one of the file.
    places = {tuple(vertex) for vertex in mesh.vertices.round(6)}
    assert places == {(0.0, 2.0, 0.0), (0.5, 0.1, 0.0), (0.0, 0.0, 2.0)}
    assert len(mesh.vertices) == 4 and mesh.triangles.max() == 3


def test_a_mesh_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PortraitError, match=r"base_hm08\.obj") as caught:
        Wardrobe.load(tmp_path)
    assert caught.value.code == ErrorCode.FILE_MISSING


def test_hair_lies_outside_the_skull_and_leaves_the_face_free(head: HeadModel, wardrobe: Wardrobe) -> None:
    skin = head.vertices[head.parts == Part.SKIN]
    eyes, mouth = head.vertices[head.landmarks[36:48]], head.vertices[head.landmarks[48:]]
    for name, hair in worn(wardrobe, head).items():
        used = hair.vertices[np.unique(hair.triangles)]
        crown = used[used[:, 1] > 8]
        assert (
            np.linalg.norm(crown - [0, 3, 0], axis=1).mean()
            > np.linalg.norm(skin[skin[:, 1] > 8] - [0, 3, 0], axis=1).mean()
        ), name
        before = used[used[:, 2] > eyes[:, 2].min()]
        for part in (eyes, mouth):
            low, high = part[:, :2].min(0), part[:, :2].max(0)
            assert not ((before[:, :2] > low) & (before[:, :2] < high)).all(1).any(), name


def test_hair_faces_outwards_and_is_darker_beneath(head: HeadModel, wardrobe: Wardrobe) -> None:
    for name, hair in worn(wardrobe, head).items():
        a, b, c = (hair.vertices[hair.triangles[:, i]] for i in range(3))
        outwards = (np.cross(b - a, c - a) * ((a + b + c) / 3 - [0, 3, 0])).sum(1)
        assert (outwards > 0).mean() > 0.7, name
        # What has more hair over it, in the same direction, is darker.
        way = hair.vertices - [0, 3, 0]
        far = np.linalg.norm(way, axis=1)
        _, near = cKDTree(way / far[:, None]).query(way / far[:, None], 40)
        covered = far[near].max(1) - far
        crown = hair.vertices[:, 1] > 6
        assert hair.shade.min() > 0.3 and hair.shade.max() <= 1
        assert np.corrcoef(covered[crown], hair.shade[crown])[0, 1] < -0.3, name


def test_heads_wear_their_hair_in_every_picture(head: HeadModel, wardrobe: Wardrobe) -> None:
    folder = paths.makehuman()
    corpus = RenderedHeads(head, augmented=False, hairs=folder / "meshes")
    sizes = {len(corpus.person(number).rest) for number in range(6)}
    assert len(sizes) > 2, "not all wear the same"
    sample = corpus.sample(np.random.default_rng(1), 1, 128)
    assert sample.target.shape == (128, 128, 3) and (sample.visibility > 0).mean() > 0.2


def test_brows_follow_the_skin_they_grow_on(head: HeadModel) -> None:
    piece = brows(head.vertices, head, np.random.default_rng(0))
    assert np.linalg.norm(piece.vertices - head.vertices[piece.bound], axis=1).max() < 1.5
    raised = head.expression({"browInnerUp_L": 1.0})[piece.bound]
    assert raised[:, 1].max() > 0.3


def test_an_even_place_lights_all_sides_alike(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "even.hdr"), np.full((32, 64, 3), 0.7, np.float32))
    light = Places(tmp_path).light(np.random.default_rng(0))
    assert np.abs(light.around[1:]).max() < 0.01 * light.around[0].min()
    white = 0.282095 * light.around[0] * light.exposure
    assert white.min() > 0.7 and white.max() < 1.15 and np.ptp(white) < 0.02


def test_a_sun_becomes_a_lamp(tmp_path: Path) -> None:
    panorama = np.full((64, 128, 3), 0.3, np.float32)
    panorama[16:19, 90:93] = 400
    cv2.imwrite(str(tmp_path / "sunny.hdr"), panorama)
    light = Places(tmp_path).light(np.random.default_rng(0))
    strongest = light.colors.sum(1).argmax()
    assert light.directions[strongest, 1] == pytest.approx(-np.sin(np.pi * 46.5 / 64 - np.pi / 2), abs=0.1)
    assert light.colors[strongest].mean() > 3 * np.delete(light.colors, strongest, 0).mean()


def test_sky_and_ground_light_what_faces_them() -> None:
    sky, ground = np.array([0.9, 0.9, 1.2]), np.array([0.3, 0.25, 0.2])
    light = lamps(np.eye(3), np.zeros((3, 3)), sky, ground, 1.0)
    up = 0.282095 * light.around[0] - 0.488603 * light.around[1]
    down = 0.282095 * light.around[0] + 0.488603 * light.around[1]
    assert (up > 1.5 * down).all() and np.allclose(up + down, sky + ground, rtol=0.15)


def test_what_is_no_panorama_is_refused(tmp_path: Path) -> None:
    (tmp_path / "light.hdr").write_bytes(b"#?RADIANCE\nno pixels")
    (tmp_path / "picture.hdr").write_bytes(b"\x89PNG")
    for name in ("light.hdr", "picture.hdr"):
        with pytest.raises(PortraitError, match=name) as caught:
            read_panorama(tmp_path / name)
        assert caught.value.code == ErrorCode.BAD_IMAGE
    with pytest.raises(PortraitError, match="none") as caught:
        Places(tmp_path / "none")
    assert caught.value.code == ErrorCode.FILE_MISSING
