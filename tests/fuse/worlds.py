"""A world whose every picture is known in closed form: a wall, and a square board before it that may slide."""

from __future__ import annotations

import torch
from torch import Tensor

from fourd.geometry import pinhole
from fourd.types import Cameras, Clip, DepthMaps, Motion

WALL_M, BOARD_M, HALF_M = 4.0, 2.0, 0.25
HW = (48, 64)
FPS = 10.0


def cameras(frames: int = 8, travel_m: float = 0.4) -> Cameras:
    """Cameras that truck to the right and look straight ahead."""
    pose = torch.eye(4).repeat(frames, 1, 1)
    pose[:, 0, 3] = torch.linspace(0, travel_m, frames)
    K = pinhole.intrinsics(HW, 60.0).repeat(frames, 1, 1)
    return Cameras(K, pose, HW, torch.arange(frames, dtype=torch.float64) / FPS)


def turned(source: Cameras, degrees: float, focus_m: float = 3.0) -> Cameras:
    """The same cameras, turned about the point ``focus_m`` before each."""
    angle = torch.deg2rad(torch.tensor(degrees))
    c, s = torch.cos(angle), torch.sin(angle)
    turn = torch.tensor([[c, 0, s, 0], [0, 1, 0, 0], [-s, 0, c, 0], [0, 0, 0, 1]])
    focus = torch.tensor([0, 0, focus_m])
    turn[:3, 3] = focus - turn[:3, :3] @ focus
    return source.replace(world_from_cam=source.world_from_cam @ turn)


def draw(at: Cameras, speed_mps: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """What the cameras see: pictures [t,h,w,3] (0 to 1), depth [t,h,w], and where the board is [t,h,w]."""
    pictures, depths, boards = [], [], []
    for i in range(len(at)):
        origin = at.world_from_cam[i, :3, 3]
        ray = pinhole.rays(at.K[i], at.hw) @ at.world_from_cam[i, :3, :3].T
        on_board, on_wall = (origin + ray * ((z - origin[2]) / ray[..., 2])[..., None] for z in (BOARD_M, WALL_M))
        x, y = on_board[..., 0] - speed_mps * float(at.time_s[i]) - 0.1, on_board[..., 1]
        board = (x.abs() < HALF_M) & (y.abs() < HALF_M)
        wall_rgb = _cloth(on_wall[..., 0], on_wall[..., 1], torch.tensor([2.0, 1.5, 3.0]))
        board_rgb = _cloth(x, y, torch.tensor([7.0, 5.0, 4.0]))
        pictures.append(torch.where(board[..., None], board_rgb, wall_rgb))
        depths.append(torch.where(board, (BOARD_M - origin[2]) / ray[..., 2], (WALL_M - origin[2]) / ray[..., 2]))
        boards.append(board)
    return torch.stack(pictures), torch.stack(depths), torch.stack(boards)


def _cloth(x: Tensor, y: Tensor, waves: Tensor) -> Tensor:
    return 0.5 + 0.2 * torch.sin(x[..., None] * waves + 1) + 0.2 * torch.cos(y[..., None] * waves.flip(0) * 1.3)


def film(at: Cameras, speed_mps: float = 0.0) -> tuple[Clip, DepthMaps, Motion]:
    """A clip of the world and the exact truth about it."""
    rgb, depth_m, board = draw(at, speed_mps)
    clip = Clip((rgb * 255).round().to(torch.uint8), at.time_s)
    flow = [_flow(at, depth_m, board, speed_mps, step) for step in (1, -1)]
    moving = board.half() if speed_mps else torch.zeros_like(board, dtype=torch.float16)
    seen = [torch.ones_like(board), torch.ones_like(board)]
    seen[0][-1], seen[1][0] = False, False
    return clip, DepthMaps(depth_m, torch.ones_like(depth_m), at.K), Motion(*flow, *seen, moving)


def _flow(at: Cameras, depth_m: Tensor, board: Tensor, speed_mps: float, step: int) -> Tensor:
    """Flow of surfaces to the frame ``step`` ahead, in pixels: the cameras only truck along x."""
    flow = torch.zeros(*depth_m.shape, 2)
    for i in range(len(at)):
        j = i + step
        if 0 <= j < len(at):
            moved = speed_mps * float(at.time_s[j] - at.time_s[i]) * board[i]
            trucked = float(at.centre_m[j, 0] - at.centre_m[i, 0])
            flow[i, ..., 0] = at.K[i, 0, 0] * (moved - trucked) / depth_m[i]
    return flow.half()


def psnr(a: Tensor, b: Tensor) -> float:
    """Peak signal-to-noise ratio of pictures from 0 to 1, in dB."""
    return float(-10 * torch.log10((a - b).square().mean()))
