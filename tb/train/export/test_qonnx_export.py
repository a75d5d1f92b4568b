"""Linear layers in QONNX compute what ours do, as the qonnx package executes them."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")
pytest.importorskip("qonnx", reason="needs the extra 'qonnx': pip install -e '.[qonnx]'")

from qonnx.core.modelwrapper import ModelWrapper  # noqa: E402
from qonnx.core.onnx_exec import execute_onnx  # noqa: E402

from golden.model import Head, Input, Order  # noqa: E402
from tb.train.encoders import random_model  # noqa: E402
from train.errors import ExportError  # noqa: E402
from train.export.qonnx import linear_layers, write_qonnx  # noqa: E402
from train.model.bmt import BmtEncoder  # noqa: E402
from train.model.precision import Weights, WeightScheme  # noqa: E402
from train.model.structure import Pooler  # noqa: E402

MODELS: dict[str, tuple[int, dict]] = {
    "W1A1": (1, {}),
    "W1A4": (4, {"order": Order.PRE}),
    "ternary, A2": (2, {"weight": WeightScheme(Weights.TERNARY, per_channel=True)}),
    "split in the ratio of 2, A8": (8, {"weight": WeightScheme(Weights.SPLIT, trained_scale=True, free=True)}),
    "text with a pooler": (2, {"input": Input.TOKENS, "head": Head.CLS, "pooler": Pooler.TANH}),
}


def inputs_of(model, inputs, lengths):
    """What each linear layer is given and makes, in real numbers and as integers: dict of name to (quantized in, out)."""
    found, handles = {}, []
    for name, layer, _, after in linear_layers(model):
        def keep(part, given, output, name=name, after=after):
            found[name] = given[0].flatten(0, -2), (output if after is None else after(output)).flatten(0, -2)

        handles.append(layer.register_forward_hook(keep))
    with torch.no_grad():
        model.real(inputs, lengths)
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize("kind", MODELS)
def test_every_layer_computes_the_same(kind, tmp_path):
    bits, changes = MODELS[kind]
    model, inputs, lengths = random_model(bits, samples=5, **changes)
    if kind.startswith("split"):
        for layer in model.layers:
            layer.attention.query.halves.ratio.data.fill_(2.0)
    found = inputs_of(model, inputs, lengths)
    assert write_qonnx(model, tmp_path / "layers.onnx") == len(found)
    written = ModelWrapper(str(tmp_path / "layers.onnx"))
    rng = np.random.default_rng(0)
    count = model.config.tokens
    feeds, expected = {}, {}
    for name, layer, before, after in linear_layers(model):
        if name == "embedding":
            x = found[name][0][:count]
            quantized = x
        else:
            quantizer = before.__closure__[0].cell_contents
            spread = 3 * quantizer.step * max(1, quantizer.format.range[1] // 2)
            x = torch.from_numpy(rng.normal(0, spread, (count, layer.in_features)).astype(np.float32))
            with torch.no_grad():
                quantized = quantizer(x)
        with torch.no_grad():
            out = layer(quantized)
            expected[name] = (out if after is None else after(out)).numpy(), after
        feeds[f"{name}.in"] = x.numpy()
    results = execute_onnx(written, feeds)
    for name, (out, after) in expected.items():
        mine = results[f"{name}.out"]
        # Sums in another order may fall on the other side of a threshold, by one code.
        close = np.isclose(mine, out, rtol=1e-4, atol=1e-4)
        assert close.mean() > (0.998 if after is not None else 0.9999), name
        assert len(np.unique(out)) > 1
        if after is not None:
            assert np.abs(mine - out).max() <= (2.01 if after.format.bits == 1 else 1.01) * after.step


def test_nodes_are_those_of_the_standard(tmp_path):
    model, _, _ = random_model(4, samples=5)
    write_qonnx(model, tmp_path / "layers.onnx")
    written = ModelWrapper(str(tmp_path / "layers.onnx"))
    kinds = {node.op_type for node in written.graph.node}
    assert kinds == {"Quant", "BipolarQuant", "MatMul", "Add"}
    weights = [node for node in written.graph.node if node.name.endswith(".weight")]
    ends = [node for node in weights if node.op_type == "Quant"]
    assert sorted(node.name for node in ends) == ["classifier.weight", "embedding.weight"]
    assert len(weights) == 2 + 6 * len(model.layers)


def test_full_precision_is_refused(tmp_path):
    model, _, _ = random_model(4, samples=5)
    with pytest.raises(ExportError, match="full precision"):
        write_qonnx(BmtEncoder(model.config, None), tmp_path / "layers.onnx")
    assert not list(tmp_path.iterdir())
