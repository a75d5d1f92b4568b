"""Training steps as CUDA graphs: the kernels of one shape of batch are recorded once, then launched together.

A step of a small encoder is a thousand kernels of a few microseconds, and Python takes longer to launch them than the GPU
to run them.
"""

import gc
from collections.abc import Callable, Sequence

import torch

#: Shapes that are recorded at most: each holds gradients of its own. The rest is computed as it is.
MOST_GRAPHS = 64


class Captured:
    """Calls ``compute``, or plays back what it launched for inputs of the same shapes.

    Parameters
    ----------
    compute : callable
        Of tensors on the GPU, to a tensor there. It leaves the gradients of ``parameters``, waits for nothing that the
        GPU computes, and draws random numbers from the default generator alone.
    parameters : list of torch.nn.Parameter
        Without gradients at each call; they must stay where they are in memory.
    """

    def __init__(self, compute: Callable[..., torch.Tensor], parameters: Sequence[torch.nn.Parameter]):
        self.compute, self.parameters = compute, parameters
        self.played, self.seen, self.pool = {}, set(), None

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        shapes = tuple(tensor.shape for tensor in inputs)
        # The first time sets up what may not be set up while recording: handles of libraries, steps of quantizers.
        if shapes not in self.seen or (shapes not in self.played and len(self.played) == MOST_GRAPHS):
            self.seen.add(shapes)
            return self.compute(*inputs)
        if shapes not in self.played:
            self.played[shapes] = self._record(inputs)
        graph, places, result, gradients = self.played[shapes]
        torch._foreach_copy_(places, list(inputs))
        graph.replay()
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        return result

    def _record(self, inputs):
        """Graph, the tensors it reads, the one it returns and the gradients it leaves."""
        places = [tensor.clone() for tensor in inputs]
        graph = torch.cuda.CUDAGraph()
        # A graph that is freed while another is recorded breaks it: no garbage may be left, or be collected meanwhile.
        if self.pool is None:
            gc.collect()
        enabled = gc.isenabled()
        gc.disable()
        try:
            with torch.cuda.graph(graph, pool=self.pool):
                result = self.compute(*places)
        finally:
            if enabled:
                gc.enable()
        self.pool = graph.pool()
        return graph, places, result, [parameter.grad for parameter in self.parameters]
