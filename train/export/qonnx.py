"""Linear layers as QONNX: weights and activations with the quantizer nodes that other tools read.

Each layer has an input NAME.in and an output NAME.out of its own, in real numbers, for NAME such as
layers.0.attention.query:

    NAME.in -> quantizer of the input -> MatMul with quantized weights -> Add bias -> quantizer of the output -> NAME.out

Matrices have a row for each token of the model; a layer works on each row alone.

A quantizer is an Add, if it has a bias, and a BipolarQuant or a Quant. The hardware rounds halves up: half a step is part
of what is added, and the Quant rounds down. Where no codes are made, at the ends of residual branches, there is none.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from formats.files import write_whole
from golden.codes import Kind
from golden.model import Head, Input
from train.errors import ExportError
from train.integer.constants import real
from train.model.bmt import BmtEncoder
from train.model.linear import QuantizedLinear
from train.model.quantizers import Quantizer
from train.model.structure import PATCH

DOMAIN = "qonnx.custom_op.general"
OPSET, IR_VERSION = 17, 8


class _Graph:
    """Nodes and what they work on; ``rows`` of each matrix, for qonnx runs nothing of unknown shape."""

    def __init__(self, rows):
        self.nodes, self.constants, self.inputs, self.outputs, self.between = [], [], [], [], []
        self.rows, self.layers = rows, 0

    def constant(self, name, value):
        self.constants.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    def _info(self, name, columns, rows=None):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [rows or self.rows, columns])

    def node(self, kind, inputs, output, columns, rows=None, **attributes):
        """A node, its only output of shape (rows, columns)."""
        if not output.endswith(".out"):
            self.between.append(self._info(output, columns, rows))
        domain = DOMAIN if kind in ("Quant", "BipolarQuant") else ""
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, domain=domain, **attributes))
        return output

    def codes(self, name, value, scale, code_format, *shape, rounding="FLOOR", narrow=False):
        """A quantizer of ``value``, a name, with ``scale``, an array; ``shape`` is columns and, if not ours, rows."""
        scale = self.constant(f"{name}.scale", scale)
        if code_format.kind is Kind.BIPOLAR:
            return self.node("BipolarQuant", [value, scale], name, *shape)
        zero, bits = self.constant(f"{name}.zero", 0.0), self.constant(f"{name}.bits", code_format.bits)
        signed = int(code_format.kind is Kind.SIGNED)
        attributes = {"signed": signed, "narrow": int(narrow), "rounding_mode": rounding}
        return self.node("Quant", [value, scale, zero, bits], name, *shape, **attributes)

    def quantizer(self, name, value, columns, quantizer):
        """What a `train.model.quantizers.Quantizer` does, its bias included."""
        added = 0.0 if quantizer.bias is None else real(quantizer.bias)
        if quantizer.format.kind is not Kind.BIPOLAR:
            added = added + quantizer.step / 2
        if np.any(added):
            value = self.node("Add", [value, self.constant(f"{name}.added", added)], f"{name}.sum", columns)
        return self.codes(name, value, quantizer.step, quantizer.format, columns)

    def linear(self, name, layer, before, after):
        """A `train.model.linear.QuantizedLinear`; ``before`` makes the quantizer of its input, ``after``
        is that of its output."""
        self.layers += 1
        operand = layer.operand()
        inputs, outputs = layer.in_features, layer.out_features
        self.inputs.append(self._info(f"{name}.in", inputs))
        x = before(self, f"{name}.input", f"{name}.in", inputs)
        values = 2 * operand.codes - 1 if operand.format.kind is Kind.BIPOLAR else operand.codes
        weight = self.constant(f"{name}.weight.value", (values * operand.scale[:, None]).T)
        scale = operand.scale[None] if len(np.unique(operand.scale)) > 1 else operand.scale[0]
        narrow = operand.format.kind is Kind.SIGNED and values.min() > operand.format.range[0]
        w = self.codes(f"{name}.weight", weight, scale, operand.format, outputs, inputs, rounding="ROUND", narrow=narrow)
        product = self.node("MatMul", [x, w], f"{name}.product", outputs)
        result = f"{name}.out" if after is None else f"{name}.real"
        self.node("Add", [product, self.constant(f"{name}.bias", real(layer.bias))], result, outputs)
        if after is not None:
            self.quantizer(f"{name}.out", result, outputs, after)
        self.outputs.append(self._info(f"{name}.out", outputs))


def _quantizer(quantizer):
    return lambda graph, name, value, columns: graph.quantizer(name, value, columns, quantizer)


def _pixels(graph, name, value, columns):
    return graph.codes(name, value, 1 / PATCH.range[1], PATCH, columns, rounding="ROUND")


def linear_layers(
    model: BmtEncoder,
) -> Iterator[tuple[str, QuantizedLinear, Callable[[_Graph, str, str, int], str], Quantizer | None]]:
    """Every linear layer: ``(name, layer, what makes the quantizer of its input, quantizer of its output or None)``."""
    if model.config.input is Input.PATCHES:
        yield "embedding", model.embedding, _pixels, None
    x = model.embedding_norm.quantizer
    for index, layer in enumerate(model.layers):
        block, name = layer.attention, f"layers.{index}.attention"
        for part in ("query", "key", "value"):
            yield f"{name}.{part}", getattr(block, part), _quantizer(x), getattr(block, f"{part}_quantizer")
        yield f"{name}.output", block.output, _quantizer(block.context_quantizer), None
        block, name = layer.feed_forward, f"layers.{index}.feed_forward"
        yield f"{name}.up", block.up, _quantizer(layer.attention_norm.quantizer), block.hidden_quantizer
        yield f"{name}.down", block.down, _quantizer(block.hidden_quantizer), None
        x = layer.feed_forward_norm.quantizer
    if model.config.head is Head.MEAN:
        x = model.pooled_quantizer
    if model.pooler is not None:
        yield "pooler", model.pooler.linear, _quantizer(x), model.pooler.quantizer
        x = model.pooler.quantizer
    yield "classifier", model.classifier, _quantizer(x), None


def write_qonnx(model: BmtEncoder, path: Path | str) -> int:
    """Write the linear layers of a quantized `train.model.bmt.BmtEncoder`, whole or not at all; returns how many there are.

    Raises ExportError for a model in full precision.
    """
    if model.formats is None:
        raise ExportError("a model in full precision has no quantizers; train it on bits to export it")
    graph = _Graph(model.config.tokens)
    for layer in linear_layers(model):
        graph.linear(*layer)
    made = helper.make_model(
        helper.make_graph(graph.nodes, "bittern", graph.inputs, graph.outputs, graph.constants, value_info=graph.between),
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)],
        ir_version=IR_VERSION, producer_name="bittern",
    )  # fmt: skip
    onnx.checker.check_model(made)
    write_whole(path, made.SerializeToString())
    return graph.layers
