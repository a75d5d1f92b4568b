"""What is known of a task without its data: classes, and size of its images."""

from train.data import images, texts
from train.run.recipe import Task

LABELS = {
    Task.FASHION_MNIST: images.FASHION_LABELS,
    Task.DIGITS: tuple("0123456789"),
    Task.SST2: texts.SST2_LABELS,
    Task.COLA: texts.COLA_LABELS,
    #: Reviews are negative or positive, as those of SST-2.
    Task.MR: texts.SST2_LABELS,
}
#: Pixels on a side.
SIDES = {Task.FASHION_MNIST: 28, Task.DIGITS: 8}


def labels_of(task):
    """Names of the classes: tuple of str."""
    return LABELS[task]


def image_of(task):
    """Pixels on a side of the images, None for a text."""
    return SIDES.get(task)
