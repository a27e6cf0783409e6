import pytest
import torch

from fourd.geometry.clock import even_fps


@pytest.mark.parametrize("digits", [2, 3, 9])
def test_rounded_time_stamps_do_not_change_the_frame_rate(digits: int) -> None:
    times = torch.arange(100, dtype=torch.float64) / 23.976
    rounded = (times * 10**digits).round() / 10**digits
    assert even_fps(rounded) == pytest.approx(23.976, rel=2e-3)


def test_a_pause_does_not_change_the_frame_rate_either() -> None:
    assert even_fps(torch.tensor([0.0, 0.1, 0.2, 5.2, 5.3], dtype=torch.float64)) == pytest.approx(10)
    assert even_fps(torch.zeros(1, dtype=torch.float64)) == 24.0
