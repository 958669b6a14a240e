# SPDX-License-Identifier: GPL-3.0-or-later
"""`portrait visemes`: mouth shapes of speech, with and without its text, and what it says where it cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from portrait_server.cli import main
from portrait_server.speech.audio import LOUDNESS_FPS, RATE, loudness, read_speech
from portrait_server.speech.phones import spoken_phones, utterance_cuts
from portrait_server.speech.visemes import VISEME_OF, VISEMES, visemes_of

from tests.server.speech.voice import speak, write_wav
from tests.server.video_files import write_video

TEXT = "Bob saw my two fat boots."
ARPABET = [
    "AA",
    "AE",
    "AH",
    "AO",
    "AW",
    "AY",
    "B",
    "CH",
    "D",
    "DH",
    "EH",
    "ER",
    "EY",
    "F",
    "G",
    "HH",
    "IH",
    "IY",
    "JH",
    "K",
    "L",
    "M",
    "N",
    "NG",
    "OW",
    "OY",
    "P",
    "R",
    "S",
    "SH",
    "T",
    "TH",
    "UH",
    "UW",
    "V",
    "W",
    "Y",
    "Z",
    "ZH",
]


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("pocketsphinx", reason="PocketSphinx is not installed")
    return speak(tmp_path_factory.mktemp("speech") / "speech.wav", TEXT)


def visemes(path: Path, output: Path, *words: str) -> dict[str, Any]:
    assert main(["visemes", str(path), "--output", str(output), *words]) == 0
    return json.loads(output.read_text())


def test_every_phone_has_one_of_the_15_shapes() -> None:
    assert len(VISEMES) == 15
    assert {VISEME_OF[phone] for phone in ARPABET} <= set(VISEMES)
    assert visemes_of("AY1", 1.0, 2.0) == [("aa", 1.0, 1.6), ("ih", 1.6, 2.0)]
    assert visemes_of("+NOISE+", 0.0, 1.0) == [("sil", 0.0, 1.0)]


def test_with_the_text_each_word_is_where_it_is_spoken(
    speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = visemes(speech, tmp_path / "a.json", "--text", TEXT, "--progress")
    assert "Progress: 100/100" in capsys.readouterr().out
    phones = [name for name, _, _ in record["phones"] if name != "sil"]
    assert phones[:3] == ["B", "AA", "B"] and phones.count("B") == 3 and "F" in phones
    shapes = record["visemes"]
    assert all(a <= b for _, a, b in shapes)
    assert all(shapes[i][2] <= shapes[i + 1][1] + 0.02 for i in range(len(shapes) - 1)), "in order"
    assert shapes[0][0] == "sil" and shapes[0][2] > 0.15, "the silence before the speech"
    clock = record["start"] + np.arange(len(record["loudness"]["values"])) / record["loudness"]["fps"]
    loud = np.array(record["loudness"]["values"])
    vowels = [loud[(clock >= a) & (clock < b)].mean() for name, a, b in shapes if name in ("aa", "oh", "ou")]
    assert np.mean(vowels) > 0.6 and loud[clock < 0.1].max() < 0.1


def test_without_the_text_the_lips_still_close_where_they_should(speech: Path, tmp_path: Path) -> None:
    record = visemes(speech, tmp_path / "a.json")
    assert record["format"] == "talking-portraits visemes 1"
    truth = visemes(speech, tmp_path / "b.json", "--text", TEXT)
    spoken = [(a, b) for name, a, b in record["visemes"] if name != "sil"]
    assert abs(spoken[0][0] - next(a for name, a, _ in truth["visemes"] if name != "sil")) < 0.15
    assert len(spoken) >= 8
    assert {name for name, _, _ in record["visemes"]} <= set(VISEMES)


def test_a_part_has_the_files_own_times(speech: Path, tmp_path: Path) -> None:
    whole = visemes(speech, tmp_path / "a.json", "--text", TEXT)
    part = visemes(speech, tmp_path / "b.json", "--from", "0.5", "--to", "1.5")
    assert (part["start"], part["seconds"]) == (0.5, 1.0)
    assert part["visemes"][0][1] >= 0.5 and part["visemes"][-1][2] <= 1.52
    assert whole["seconds"] > 1.5


def test_the_sound_of_a_video_and_stereo_at_another_rate(speech: Path, tmp_path: Path) -> None:
    path = tmp_path / "stereo.m4a"
    samples = read_speech(speech)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44_100, layout="stereo")
        resampler = av.AudioResampler("fltp", "stereo", 44_100, 1024)
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = RATE
        for block in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(block))
        container.mux(stream.encode(None))
    heard = read_speech(path)
    assert abs(len(heard) - len(samples)) < 0.2 * RATE
    assert abs(loudness(heard).mean() - loudness(samples).mean()) < 0.05


def test_long_speech_is_cut_where_it_is_quiet() -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 3000, 70 * RATE).astype(np.int16)
    for second in range(6, 70, 7):
        samples[second * RATE : second * RATE + RATE // 2] = 0
    cuts = utterance_cuts(samples)
    assert cuts[0] == 0 and cuts[-1] == len(samples)
    assert max(np.diff(cuts)) <= 19 * RATE
    quiet = loudness(samples)
    assert all(quiet[cut // (RATE // LOUDNESS_FPS)] < 0.05 for cut in cuts[1:-1])


def test_words_that_no_dictionary_has(speech: Path) -> None:
    phones = [phone.name for phone in spoken_phones(read_speech(speech), "Bob saw my two fat bhootz")]
    assert phones.count("B") == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--text", "?!"), "no words"), (("--text", "supercalifragilistic " * 30), "not what the sound says"),
     (("--from", "50"), "less than a tenth of a second")],
)  # fmt: skip
def test_what_does_not_fit_is_refused(
    speech: Path, tmp_path: Path, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["visemes", str(speech), "--output", str(tmp_path / "a.json"), *words]) == 1
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_files_without_speech(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "a.json"
    text = tmp_path / "notes.txt"
    text.write_text("hello")
    silent = write_video(tmp_path / "silent.mp4", [np.full((64, 64, 3), 90, np.uint8)] * 5)
    for path, said in ((tmp_path / "absent.wav", "no file"), (text, "as sound"), (silent, "no sound")):
        assert main(["visemes", str(path), "--output", str(output)]) == 1
        assert said in capsys.readouterr().err
    assert main(["visemes", str(text), "--output", str(tmp_path / "absent" / "a.json")]) == 1
    assert "Cannot write" in capsys.readouterr().err
    assert not output.exists()


def test_silence_has_no_phones(tmp_path: Path) -> None:
    pytest.importorskip("pocketsphinx", reason="PocketSphinx is not installed")
    write_wav(tmp_path / "quiet.wav", np.zeros(RATE), RATE)
    record = visemes(tmp_path / "quiet.wav", tmp_path / "a.json")
    assert {name for name, _, _ in record["visemes"]} <= {"sil"}
    assert max(record["loudness"]["values"]) == 0
