"""Which pictures are wanted and when: pure arithmetic, against brute force."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fourd.errors import InputError
from fourd.media.window import Window, resample, working_hw

TIMES = st.lists(st.integers(1, 200), min_size=1, max_size=12).map(
    lambda steps: [sum(steps[:i]) / 100 for i in range(len(steps))]
)


@given(times=TIMES, fps=st.sampled_from([1.0, 7.0, 24.0, 30000 / 1001]), last_s=st.integers(1, 100))
@settings(max_examples=60, deadline=None)
def test_every_tick_shows_the_picture_nearest_in_time(times: list[float], fps: float, last_s: int) -> None:
    shown = list(resample(zip(times, times, strict=True), fps, lambda: last_s / 100))
    assert [t for t, _ in shown] == [i / fps for i in range(len(shown))]
    for tick_s, picture_s in shown:
        assert abs(picture_s - tick_s) <= min(abs(t - tick_s) for t in times) + 2e-6
    end_s = times[-1] + last_s / 100
    assert (len(shown) - 1) / fps < end_s <= len(shown) / fps + 1e-5 or len(shown) == 1


@given(times=TIMES, stop=st.integers(1, 500))
@settings(max_examples=30, deadline=None)
def test_no_tick_comes_after_the_stop(times: list[float], stop: int) -> None:
    shown = [t for t, _ in resample(((t, t) for t in times), 10.0, lambda: 1.0, stop / 100)]
    assert shown[0] == 0
    assert all(t < stop / 100 for t in shown[1:])


@given(h=st.integers(1, 9000), w=st.integers(1, 9000), size=st.integers(1, 4000))
def test_working_size_keeps_the_aspect_and_never_enlarges(h: int, w: int, size: int) -> None:
    new_h, new_w = working_hw((h, w), size)
    assert max(new_h, new_w) == min(size, max(h, w))
    factor = max(new_h, new_w) / max(h, w)
    assert abs(new_h - h * factor) <= 0.5 or new_h == 1
    assert abs(new_w - w * factor) <= 0.5 or new_w == 1
    assert working_hw((new_h, new_w), size) == (new_h, new_w)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"start_s": -1.0}, "start_s is -1.0; it must be a number of seconds, 0 or more."),
        ({"start_s": float("nan")}, "start_s is nan; it must be a number of seconds, 0 or more."),
        ({"duration_s": 0.0}, "duration_s is 0.0; it must be more than 0 seconds, or None for all."),
        ({"fps": 0.0}, "fps is 0.0; it must be a finite number above 0, or None to keep the time stamps."),
        ({"fps": float("inf")}, "fps is inf; it must be a finite number above 0, or None to keep the time stamps."),
        ({"size": 0}, "size is 0; it must be at least 1 pixel, or None for the stored size."),
    ],
)
def test_senseless_arguments_are_refused(arguments: dict[str, float], text: str) -> None:
    with pytest.raises(InputError) as error:
        Window(**arguments)
    assert str(error.value) == text
