"""Many pictures through two steps: each looked at alone, then classified together, side by side where threads allow."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from openfer.predict.look import ImageLike, Seen
from openfer.records import Prediction

See = Callable[[ImageLike], Seen]
Classify = Callable[[list[Seen]], list[list[Prediction]]]


def in_chunks(
    images: Iterator[ImageLike], see: See, classify: Classify, *, chunk: int, workers: int
) -> Iterator[list[Prediction]]:
    """The predictions of each picture, in order, whatever the number of threads.

    Args:
        images: taken at most three chunks ahead of what has been handed out.
        see: looks at one picture.
        classify: answers for the faces of several.
        chunk: how many pictures are classified together.
        workers: threads.
    """
    if workers == 1 or chunk == 1:
        return _one_by_one(images, see, classify, chunk)
    return _side_by_side(images, see, classify, max(chunk, workers), workers)


def _one_by_one(images: Iterator[ImageLike], see: See, classify: Classify, chunk: int) -> Iterator[list[Prediction]]:
    while part := list(islice(images, chunk)):
        yield from classify([see(image) for image in part])


def _side_by_side(
    images: Iterator[ImageLike], see: See, classify: Classify, chunk: int, workers: int
) -> Iterator[list[Prediction]]:
    """Chunks go through two queues, one is looked at and one classified at a time; more pictures are not taken."""
    looking: deque[list[Future[Seen]]] = deque()
    classifying: deque[Future[list[list[Prediction]]]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="openfer")
    try:
        more = True
        while more or looking or classifying:
            part = list(islice(images, chunk)) if more else []
            more = len(part) == chunk
            if part:
                looking.append([pool.submit(see, image) for image in part])
            if looking and (len(looking) > 1 or not more):
                seen = [future.result() for future in looking.popleft()]
                classifying.append(pool.submit(classify, seen))
            if classifying and (len(classifying) > 1 or not (more or looking)):
                yield from classifying.popleft().result()
    finally:
        # Also where the caller wants no more: what waits is dropped, what runs ends within a picture.
        pool.shutdown(cancel_futures=True)
