"""The ready-made scenes can be filmed and lifted: texture, parallax and motion inside the picture."""

from __future__ import annotations

import pytest

from fourd.errors import InputError
from fourd.generate import SCENES, scene, shoot


@pytest.mark.parametrize("name", SCENES)
def test_scenes_have_texture_and_things_that_move_in_view(name: str) -> None:
    made = scene(name, seed=1, hw=(54, 96), frames=36)
    take = shoot(made.stage, made.cameras[17:19], samples=1, rays=1)
    assert 0.01 < float(take.motion.moving.float().mean()) < 0.5
    assert float(take.clip.frames.float().std()) > 25
    assert 60 < float(take.clip.frames.float().mean()) < 190
    flow = take.motion.flow_forward[0].float().norm(dim=-1)
    still = take.motion.moving[0] == 0
    if name == "tabletop":
        assert float(flow[still].max()) < 2e-3  # The camera stands still.
    else:
        near, far = flow[still].quantile(0.95), flow[still].quantile(0.1)
        assert float(near - far) > 0.15  # A frame; 36 of them are many pixels of parallax.
    assert take.names[0] == made.stage.props[0].name


def test_scenes_without_a_name_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"There is no scene 'moon'\. Choose one of: room, garden, tabletop, terrace, jumble\."
    ):
        scene("moon")
