"""What tests of the player share: scenes, a server for them, and the pictures that the player draws."""

from __future__ import annotations

import base64
import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import uvicorn

from fourd.geometry import rigid
from fourd.scene import Scene
from fourd.types import Cameras, Provenance, Sound, Splats
from fourd.view import server
from tests.native.splats import scatter
from tests.view.browser import Page

HW = (90, 160)
SHOWN = "!!(window.fourd && document.getElementById('cover')?.classList.contains('gone'))"


def busy_scene() -> Scene:
    """Splats of all shapes, half of which move and fade, before a wall; five cameras look at them."""
    flying = scatter(1500, k=9, scale_m=0.15)
    flying = flying.replace(
        time_s=torch.rand(1500, generator=torch.Generator().manual_seed(1)) * 2, velocity_mps=flying.velocity_mps * 3
    )
    there = scatter(1000, k=9, seed=2, scale_m=0.2)
    there = there.replace(
        velocity_mps=torch.zeros(1000, 3), duration_s=torch.full((1000,), math.inf), source=there.source + 1
    )
    K = torch.tensor([[120.0, 0.5, 82], [0, 118, 44], [0, 0, 1]]).repeat(5, 1, 1)
    pose = torch.eye(4).repeat(5, 1, 1)
    for i in range(5):
        pose[i, :3, :3] = rigid.matrix_from_rotvec(torch.tensor([0.05, 0.1 * (i - 2), 0.02]))
        pose[i, 0, 3] = -0.3 * (i - 2)
    tone = torch.sin(torch.arange(16000) * 0.3)[:, None] / 4
    time_s = torch.linspace(0, 2, 5, dtype=torch.float64)
    return Scene(
        Splats.concat([flying, there]), Cameras(K, pose, HW, time_s), Sound(tone, 8000), Provenance(clip="busy.mp4")
    )


class Served:
    """`fourd view`, in a thread of the test."""

    def __init__(self) -> None:
        self.application: Any = None
        config = uvicorn.Config(
            self._answer, log_config=None, interface="asgi3", lifespan="off", ws="none", timeout_graceful_shutdown=1
        )
        self.server = uvicorn.Server(config)
        self.listener = server._listen("127.0.0.1", 0)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listener]}, daemon=True)
        self.thread.start()

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        await self.application(scope, receive, send)

    def serve(self, scene: Path) -> str:
        gate = server.Gate("token", self.port, frozenset({"127.0.0.1"}))
        self.application = server.Application(scene, gate)
        return f"http://127.0.0.1:{self.port}/token/"

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(20)
        self.listener.close()


def picture(page: Page, cameras: Cameras, mode: str = "colour") -> np.ndarray:
    """What the player draws for one camera: [h, w, 3], 0 to 1."""
    asked = {
        "K": cameras.K[0].flatten().tolist(),
        "pose": cameras.world_from_cam[0].flatten().tolist(),
        "hw": list(cameras.hw),
        "time_s": float(cameras.time_s[0]),
        "mode": mode,
    }
    text = page.run(
        f"fourd.picture({asked}).then((bytes) => {{ let s = '';"
        " for (const b of bytes) s += String.fromCharCode(b); return btoa(s); })"
    )
    pixels = np.frombuffer(base64.b64decode(text), np.uint8).reshape(*cameras.hw, 4)
    return pixels[..., :3] / 255


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(max(((a - b) ** 2).mean(), 1e-12)))


def moments(scene: Scene) -> Iterator[Cameras]:
    """Five cameras at five moments, none of which was filmed."""
    for i in range(5):
        camera = scene.cameras[i : i + 1]
        pose = camera.world_from_cam.clone()
        pose[0, :3, 3] += torch.tensor([0.1 * i, -0.1, 0.15 * i])
        yield camera.replace(world_from_cam=pose, time_s=camera.time_s * 0.9 + 0.07)
