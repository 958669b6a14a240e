# SPDX-License-Identifier: GPL-3.0-or-later
"""Trains a painter: `python -m portrait_server.training.painting.run mouth --crops DIR --output DIR`.

A batch depends on the seed and the step alone, so a run that is resumed sees what it would have seen.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from portrait_server.corpora.crops import CropPairs, read_crops
from portrait_server.geometry.crops import LEFT_EYE, MOUTH, RIGHT_EYE
from portrait_server.networks.painter import Painter
from portrait_server.training.painting.batches import CropBatch, Pairs
from portrait_server.training.painting.efficientnet import PerceptualLoss
from portrait_server.training.painting.measures import measure, sheet
from portrait_server.training.painting.objective import CropDiscriminator, Objective, Weights
from portrait_server.training.precision import autocast

SHARES = {
    "mouth": {"speech": 0.35, "smiles": 0.2, "smiles-reposed": 0.15, "congress": 0.2, "rendered": 0.1},
    "eye": {"speech": 0.4, "smiles": 0.15, "smiles-reposed": 0.15, "congress": 0.25, "rendered": 0.05},
}
_AHEAD = 3  # batches that are made while the network learns
_RATE, _JUDGE_RATE, _EMA, _CLIP = 3e-4, 2e-4, 0.998, 1.0


class Run:
    """One painter, its discriminator, and what going on needs."""

    def __init__(self, asked: argparse.Namespace) -> None:
        torch.manual_seed(asked.seed)
        self.asked, self.output = asked, Path(asked.output)
        self.crop = {"mouth": MOUTH, "eye": RIGHT_EYE}[asked.part]
        shares = {
            n: s for n, s in SHARES[asked.part].items() if any((asked.crops / f"{n}-train").glob("*.safetensors"))
        }
        self.pairs = Pairs(self.crop, [_read(asked, n, "train") for n in shares], list(shares.values()))
        self.held = {n: _read(asked, n, "held") for n in shares if (asked.crops / f"{n}-held").is_dir()}
        self.painter, self.judge, self.step = Painter(asked.width), CropDiscriminator(), 0
        for network in (self.painter, self.judge):
            network.to(memory_format=torch.channels_last)
        self.mean = copy.deepcopy(self.painter).requires_grad_(False)
        self.perceptual = PerceptualLoss()
        self.perceptual.to(memory_format=torch.channels_last)
        self.objective = Objective(Weights(), self.perceptual, asked.adversarial_from)
        self.optimisers = {
            "painter": torch.optim.Adam(self.painter.parameters(), _RATE, (0.5, 0.99)),
            "judge": torch.optim.Adam(self.judge.parameters(), _JUDGE_RATE, (0.5, 0.99)),
        }
        self.output.mkdir(parents=True, exist_ok=True)
        if (self.output / "state.json").exists():
            self._load()

    def go(self) -> None:
        asked, saved, shown = self.asked, time.monotonic(), time.monotonic()
        sums: dict[str, list[float]] = {}
        for batch in self._batches():
            if self._ended():
                break
            if self.step % asked.measure_every == 0:
                self._measure()
            for name, value in self._learn(batch).items():
                sums.setdefault(name, []).append(value)
            self.step += 1
            if self.step % 50 == 0:
                spent, shown = time.monotonic() - shown, time.monotonic()
                self._log({k: round(float(np.mean(v)), 4) for k, v in sums.items()} | {"seconds": round(spent, 1)})
                sums = {}
            if time.monotonic() - saved > 120:
                self._save()
                saved = time.monotonic()
        self._measure()
        self._save()

    def _batches(self) -> Iterator[CropBatch]:
        def made(step: int) -> CropBatch:
            return self.pairs.batch(self.asked.batch, np.random.default_rng((self.asked.seed, step)))

        with ThreadPoolExecutor(1) as pool:
            coming = [pool.submit(made, self.step + ahead) for ahead in range(_AHEAD)]
            for step in range(self.step, self.asked.steps):
                coming.append(pool.submit(made, step + _AHEAD))
                yield coming.pop(0).result()
                if self._ended():
                    for future in coming:
                        future.cancel()
                    return

    def _ended(self) -> bool:
        asked = self.asked
        return (self.output / "stop").exists() or (asked.until and f"{datetime.now():%H:%M}" >= asked.until)

    def _learn(self, batch: CropBatch) -> dict[str, float]:
        told: dict[str, float] = {}
        adversarial = self.objective.adversarial(self.step + 1) > 0
        # The discriminator learns some steps before it has a say.
        judging = self.step + 300 >= self.asked.adversarial_from
        for group in self.optimisers["painter"].param_groups:
            group["lr"] = _RATE * min(1.0, (self.step + 1) / 100)
        with autocast(torch.device("cpu")):
            style = self.painter.styled(batch.references, batch.rasters)
            painting = self.painter(batch.draft, batch.raster, batch.reference, batch.seen, style)
        if judging:
            loss = self.objective.of_discriminator(painting.image, batch, self.judge)
            told["judge"] = self._stepped("judge", self.judge, loss)
        self.judge.requires_grad_(False)
        terms = self.objective.of_painter(painting, batch, self.judge if adversarial else None, self.step)
        told |= {name: float(term.detach()) for name, term in terms.items()}
        told["loss"] = self._stepped("painter", self.painter, torch.stack(list(terms.values())).sum())
        self.judge.requires_grad_(True)
        with torch.no_grad():
            keep = min(_EMA, (self.step + 1) / (self.step + 10))
            for slow, fast in zip(self.mean.parameters(), self.painter.parameters(), strict=True):
                slow.lerp_(fast, 1 - keep)
        return told

    def _stepped(self, name: str, network: torch.nn.Module, loss: Tensor) -> float:
        optimiser = self.optimisers[name]
        optimiser.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), _CLIP)
        if torch.isfinite(norm) and torch.isfinite(loss):
            optimiser.step()
        return float(loss.detach())

    def _measure(self) -> None:
        self.mean.eval()
        for name, pairs in self.held.items():
            self._log({"held": name, **measure(self.mean, self.crop, pairs, self.perceptual)})
        picture = sheet(self.mean, self.crop, list(self.held.values()), each=self.asked.each)
        cv2.imwrite(str(self.output / f"sheet-{self.step:06d}.png"), picture[..., ::-1])

    def _log(self, what: dict[str, Any]) -> None:
        with (self.output / "log.jsonl").open("a") as file:
            file.write(json.dumps({"time": f"{datetime.now():%H:%M:%S}", "step": self.step} | what) + "\n")

    def _save(self) -> None:
        tensors = {f"{n}/{k}": v for n, net in self._networks().items() for k, v in net.state_dict().items()}
        for name, optimiser in self.optimisers.items():
            for number, state in optimiser.state_dict()["state"].items():
                tensors |= {f"{name}-adam/{number}/{k}": torch.as_tensor(v) for k, v in state.items()}
        partial = self.output / "partial.safetensors"
        save_file({k: v.contiguous().clone() for k, v in tensors.items()}, partial, {"step": str(self.step)})
        partial.rename(self.output / f"checkpoint-{self.step:06d}.safetensors")
        (self.output / "state.json").write_text(json.dumps({"step": self.step}))
        for old in sorted(self.output.glob("checkpoint-*"))[1:-3]:
            if int(old.stem[-6:]) % 1000 > 60:  # one of each thousand stays, to compare with
                old.unlink()

    def _load(self) -> None:
        self.step = json.loads((self.output / "state.json").read_text())["step"]
        tensors = load_file(self.output / f"checkpoint-{self.step:06d}.safetensors")
        for name, network in self._networks().items():
            network.load_state_dict({k.split("/", 1)[1]: v for k, v in tensors.items() if k.startswith(f"{name}/")})
        for name, optimiser in self.optimisers.items():
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in tensors.items():
                if key.startswith(f"{name}-adam/"):
                    _, number, what = key.split("/")
                    state.setdefault(int(number), {})[what] = value
            optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})

    def _networks(self) -> dict[str, torch.nn.Module]:
        return {"painter": self.painter, "mean": self.mean, "judge": self.judge}


def _read(asked: argparse.Namespace, corpus: str, split: str) -> CropPairs:
    folder = asked.crops / f"{corpus}-{split}"
    if asked.part == "mouth":
        return read_crops(folder, MOUTH)
    return CropPairs.joined([read_crops(folder, RIGHT_EYE), read_crops(folder, LEFT_EYE).as_right_eyes()])


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("part", choices=SHARES)
    ask.add_argument("--crops", type=Path, required=True, help="folders CORPUS-train and CORPUS-held of crops")
    ask.add_argument("--output", type=Path, required=True)
    ask.add_argument("--steps", type=int, default=20000)
    ask.add_argument("--batch", type=int, default=16)
    ask.add_argument("--width", type=int, default=24)
    ask.add_argument("--seed", type=int, default=1)
    ask.add_argument("--adversarial-from", type=int, default=2000)
    ask.add_argument("--measure-every", type=int, default=250)
    ask.add_argument("--each", type=int, default=6, help="people of each corpus on a sheet")
    ask.add_argument("--threads", type=int, default=1)
    ask.add_argument("--until", help="HH:MM of the clock at which it ends; a file `stop` in the output ends it too")
    asked = ask.parse_args()
    torch.set_num_threads(asked.threads)
    cv2.setNumThreads(1)
    Run(asked).go()


if __name__ == "__main__":
    main()
