"""One thread for each test process: pytest runs several side by side."""

try:
    import torch
except ImportError:
    pass
else:
    torch.set_num_threads(1)
