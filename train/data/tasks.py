"""The tasks, and what is known of each without its data: names of the classes, and size of its images."""

from enum import StrEnum


class Task(StrEnum):
    FASHION_MNIST = "fashion-mnist"
    DIGITS = "digits"
    SST2 = "sst2"
    COLA = "cola"
    MR = "mr"

    @property
    def of_images(self) -> bool:
        return self in SIDES


LABELS = {
    Task.FASHION_MNIST: (
        "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
    ),
    Task.DIGITS: tuple("0123456789"),
    Task.SST2: ("negative", "positive"),
    Task.COLA: ("unacceptable", "acceptable"),
    Task.MR: ("negative", "positive"),
}  # fmt: skip
#: Pixels on a side.
SIDES = {Task.FASHION_MNIST: 28, Task.DIGITS: 8}


def labels_of(task: Task) -> tuple[str, ...]:
    """Names of the classes: tuple of str."""
    return LABELS[task]


def image_of(task: Task) -> int | None:
    """Pixels on a side of the images, None for a text."""
    return SIDES.get(task)
