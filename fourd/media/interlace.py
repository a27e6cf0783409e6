"""Whole pictures from interlaced ones, whose odd and even rows were taken at different moments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def woven(frames: Iterator[Any]) -> Iterator[Any]:
    """Pass decoded frames on, with the rows of the second moment of interlaced ones re-made.

    FFmpeg's ``bwdif`` interpolates them from both fields and the neighbouring frames; it keeps one
    frame a picture and its time stamp. A stream that never is interlaced never meets the filter.
    """
    graph: Any = None
    for frame in frames:
        if graph is None and not frame.interlaced_frame:
            yield frame
            continue
        if graph is None:
            graph = _graph(frame)
        graph.push(frame)
        yield from _ready(graph)
    if graph is not None:
        graph.push(None)
        yield from _ready(graph)


def _graph(frame: Any) -> Any:
    from av.filter import Graph

    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format.name, time_base=frame.time_base
    )
    # send_frame: one picture a frame; interlaced: frames that say they are progressive pass untouched.
    graph.link_nodes(source, graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink"))
    graph.configure()
    return graph


def _ready(graph: Any) -> Iterator[Any]:
    from av.error import BlockingIOError as NotYet
    from av.error import EOFError as AtEnd

    while True:
        try:
            yield graph.pull()
        except (NotYet, AtEnd):
            return
