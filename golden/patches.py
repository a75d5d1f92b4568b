"""Images as a model's input: cut in square patches, which may overlap."""

import numpy as np
from numpy.typing import NDArray


def to_patches(images: NDArray[np.integer], patch: int, stride: int = 0, class_tokens: int = 0) -> NDArray[np.integer]:
    """``(images, height, width)`` to ``(images, patches, patch * patch)``, patches and pixels in them row by row.

    Parameters
    ----------
    images : integer array
    patch, stride : int
        Sides in pixels: of a patch, and from one to the next; 0 is that of a patch.
    class_tokens : int
        Rows of zeros before the patches: the projection makes its bias of them, and their position is all they are.

    Raises
    ------
    ValueError
        Where patches do not end with the image.
    """
    stride = stride or patch
    count, height, width = images.shape
    for side in (height, width):
        if not 1 <= patch <= side or (side - patch) % stride:
            raise ValueError(
                f"patches of {patch} pixels, {stride} apart, must end with the image of {height} x {width}; choose a patch "
                "and a stride that do"
            )
    windows = np.lib.stride_tricks.sliding_window_view(images, (patch, patch), (1, 2))[:, ::stride, ::stride]
    patches = windows.reshape(count, -1, patch * patch)
    return np.pad(patches, ((0, 0), (class_tokens, 0), (0, 0)))
