"""Images as a bundle's preprocessing says: a picture file becomes patch codes."""

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from formats.errors import UsageError

IDX_IMAGES = b"\0\0\x08\x03"


def read_images(path: Path | str, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Grey images of a file, (images, height, width) uint8: one, or all of an .npy or IDX file, which may be gzipped.

    Parameters
    ----------
    path : path
        PNG, JPEG or whatever Pillow reads, in colour or grey; .npy of uint8; IDX as MNIST has it.
    shape : (height, width)
        What the model takes; pictures of another size are scaled, arrays must have it.

    Raises
    ------
    UsageError
        For a file that is missing, or none of these.
    """
    try:
        data = Path(path).read_bytes()
        if data.startswith(b"\x1f\x8b"):
            data = gzip.decompress(data)
        if data.startswith(IDX_IMAGES):
            sizes = np.frombuffer(data, ">u4", 3, 4).tolist()
            images = np.frombuffer(data, np.uint8, offset=16).reshape(sizes)
        elif data.startswith(b"\x93NUMPY"):
            images = np.load(path, allow_pickle=False)
            images = images[None] if images.ndim == 2 else images
        else:
            return _picture(path, shape)
    except FileNotFoundError:
        raise UsageError(f"there is no image at {path}; give the path of a picture, an .npy or an IDX file") from None
    except (OSError, EOFError, ValueError) as error:
        raise UsageError(f"image {path} cannot be read: {error}; give a picture, an .npy or an IDX file") from None
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != tuple(shape):
        raise UsageError(
            f"{path} holds {images.dtype} of shape {images.shape}, and the model takes uint8 images of "
            f"{shape[0]} x {shape[1]}; convert it, or give a picture, which is scaled"
        )
    return images


def _picture(path, shape):
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            grey = image.convert("L")
    except UnidentifiedImageError:
        raise UsageError(f"{path} is no picture that can be read; give PNG, JPEG, an .npy or an IDX file") from None
    if grey.size != (shape[1], shape[0]):
        grey = grey.resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    return np.asarray(grey)[None]
