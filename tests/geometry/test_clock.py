import pytest
import torch

from fourd.geometry.clock import even_fps, spread


@pytest.mark.parametrize("digits", [2, 3, 9])
def test_rounded_time_stamps_do_not_change_the_frame_rate(digits: int) -> None:
    times = torch.arange(100, dtype=torch.float64) / 23.976
    rounded = (times * 10**digits).round() / 10**digits
    assert even_fps(rounded) == pytest.approx(23.976, rel=2e-3)


def test_a_pause_does_not_change_the_frame_rate_either() -> None:
    assert even_fps(torch.tensor([0.0, 0.1, 0.2, 5.2, 5.3], dtype=torch.float64)) == pytest.approx(10)
    assert even_fps(torch.zeros(1, dtype=torch.float64)) == 24.0


def test_spread_reaches_both_ends() -> None:
    for count in range(1, 40):
        for most in (2, 3, 16):
            picked = spread(count, most).tolist()
            assert picked == sorted(set(picked)) and len(picked) == min(count, most)
            assert picked[0] == 0 and picked[-1] == count - 1
    assert spread(5, 1).tolist() == [0] and spread(0, 3).tolist() == []
