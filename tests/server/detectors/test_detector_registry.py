# SPDX-License-Identifier: GPL-3.0-or-later
"""Which detectors there are, what they need, and what they say where it is missing."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from portrait_server.detectors.face_alignment_weights import FACE_ALIGNMENT_WEIGHTS, missing_face_alignment_weights
from portrait_server.detectors.registry import create_detector, default_detector_name, detector_names
from portrait_shared.errors import ErrorCode, PortraitError

needs_face_alignment = pytest.mark.skipif(
    importlib.util.find_spec("face_alignment") is None, reason="could not import 'face_alignment'"
)


def test_nothing_of_mediapipes_start_reaches_the_terminal() -> None:
    script = (
        "import os, sys, skimage.data\n"
        "from portrait_server.detectors.registry import create_detector\n"
        "detector = create_detector('mediapipe')\n"
        "assert detector.detect(skimage.data.astronaut())\n"
        "os.write(2, b'a real error\\n')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == "a real error\n"


def test_unknown_lines_of_native_code_get_through() -> None:
    script = (
        "import os\n"
        "from portrait_server.detectors.native_log import without_harmless_lines\n"
        "with without_harmless_lines():\n"
        "    os.write(2, b'W0000 inference_feedback_manager.cc:114] noise\\nE0000 graph failed\\n')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == "E0000 graph failed\n"


def test_the_registry_loads_no_detector() -> None:
    script = (
        "import sys, portrait_server.detectors.registry as registry\n"
        "registry.detector_names(), registry.default_detector_name()\n"
        "print([name for name in ('mediapipe', 'torch', 'face_alignment', 'cv2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_unknown_detectors_are_refused_with_the_known_ones() -> None:
    with pytest.raises(PortraitError) as caught:
        create_detector("dlib")
    assert caught.value.code is ErrorCode.UNKNOWN_DETECTOR
    assert all(name in caught.value.remedy for name in detector_names())


def test_the_default_follows_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert default_detector_name() == "mediapipe"
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    for name in FACE_ALIGNMENT_WEIGHTS:
        assert default_detector_name() == "mediapipe"
        (folder / name).touch()
    assert missing_face_alignment_weights() == []
    assert default_detector_name() == "face-alignment"


def test_the_weights_folder_and_files_are_the_packages_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch_hub = pytest.importorskip("torch.hub")
    api = pytest.importorskip("face_alignment.api")
    from face_alignment.detection.sfd.sfd_detector import models_urls

    urls = [models_urls["s3fd"], api.models_urls["3DFAN-4"], api.models_urls["depth"]]
    assert {url.rsplit("/", 1)[1] for url in urls} == set(FACE_ALIGNMENT_WEIGHTS)
    for variables in ({}, {"XDG_CACHE_HOME": str(tmp_path / "cache")}, {"TORCH_HOME": str(tmp_path / "torch")}):
        for name in ("XDG_CACHE_HOME", "TORCH_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        expected = Path(torch_hub.get_dir()) / "checkpoints"
        assert [path.parent for path in missing_face_alignment_weights()] in ([], [expected] * 3)


def weights_missing(environment: dict[str, str]) -> str:
    """What a new process says that asks for face-alignment."""
    script = (
        "from portrait_server.detectors.registry import create_detector\n"
        "from portrait_shared.errors import PortraitError\n"
        "try:\n    create_detector('face-alignment')\n"
        "except PortraitError as error:\n    print(error.code, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_face_alignment
def test_face_alignment_without_weights_and_without_a_network(tmp_path: Path) -> None:
    """A proxy that nobody listens on is as good as no network, on any machine."""
    nowhere = {name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")}
    said = weights_missing({"TORCH_HOME": str(tmp_path), "no_proxy": "", "NO_PROXY": "", **nowhere})
    assert "weights_missing " in said
    assert "--detector mediapipe" in said
    assert str(tmp_path / "hub" / "checkpoints") in said
    assert all(name in said for name in FACE_ALIGNMENT_WEIGHTS)


@needs_face_alignment
def test_face_alignment_with_damaged_weights(tmp_path: Path) -> None:
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    for name in FACE_ALIGNMENT_WEIGHTS:
        (folder / name).write_bytes(b"<html>not weights</html>" * 10)
    said = weights_missing({"TORCH_HOME": str(tmp_path)})
    assert said.startswith("weights_missing ")
    assert "damaged" in said
