"""One contract for every backbone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from engagement.classification.network import BACKBONES, FaceStateNet, HeadSpec, NetworkSpec
from engagement.errors import WeightsError
from engagement.labels import EXPRESSIONS, LEARNER_STATES
from engagement.types import ChipSpec
from training.initial import initialise
from training.lightning_module import HeadTrainer
from training.opened import open_network, with_head
from training.recipe import Recipe
from training.run import export

pytestmark = pytest.mark.parametrize("backbone", list(BACKBONES))
SPEC = ChipSpec(32, 0.9, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def network_of(backbone: str) -> FaceStateNet:
    torch.manual_seed(3)
    heads = {"expression": HeadSpec(EXPRESSIONS), "state": HeadSpec(LEARNER_STATES, hidden=8)}
    return FaceStateNet(NetworkSpec(backbone, heads)).eval()


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(5)
    return torch.randn(8, 3, 32, 32), torch.eye(7)[torch.arange(8) % 7], torch.arange(8)


def one_step(network: FaceStateNet, freeze: int) -> float:
    recipe = Recipe(backbone=network.spec.backbone, freeze=freeze, warmup=0.5)
    module = HeadTrainer(network, "expression", recipe, torch.ones(7), steps=2)
    optimizer = module.configure_optimizers()["optimizer"]
    module.train()
    for stage in module._frozen():
        stage.eval()
    loss = module.loss(module(batch()[0]), batch()[1])
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def changed(network: FaceStateNet, before: dict[str, torch.Tensor]) -> set[str]:
    return {k for k, v in network.state_dict().items() if not torch.equal(v, before[k])}


def snapshot(network: FaceStateNet) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in network.state_dict().items()}


def test_outputs_have_the_documented_shapes(backbone: str) -> None:
    out = network_of(backbone)(batch()[0])
    assert out.features.shape == (8, 1280 if backbone in ("efficientnet_b0", "mobilenet_v2") else 512)
    assert out.logits["expression"].shape == (8, 7)
    assert out.logits["state"].shape == (8, 3)
    assert out.identity.shape == (8, 0)
    assert all(torch.isfinite(v).all() for v in out.logits.values())


def test_a_step_changes_backbone_and_head_but_no_other_head(backbone: str) -> None:
    network = network_of(backbone)
    before = snapshot(network)
    assert np.isfinite(one_step(network, freeze=0))
    moved = changed(network, before)
    assert any(k.startswith("backbone.") for k in moved)
    assert any(k.startswith("heads.expression.") for k in moved)
    assert not any(k.startswith("heads.state.") for k in moved)


def test_a_frozen_backbone_stays_bit_for_bit(backbone: str) -> None:
    network = network_of(backbone)
    before = snapshot(network)
    one_step(network, freeze=-1)
    assert changed(network, before) == {"heads.expression.1.weight", "heads.expression.1.bias"}


def test_freezing_some_stages_leaves_those_alone(backbone: str) -> None:
    network = network_of(backbone)
    before = snapshot(network)
    first = next(iter(dict(network.backbone.named_children())))
    last = [name for name, m in network.backbone.named_children() if list(m.parameters())][-1]
    one_step(network, freeze=1)
    moved = changed(network, before)
    assert not any(k.startswith(f"backbone.{first}.") for k in moved)
    assert any(k.startswith(f"backbone.{last}.") for k in moved)


def test_the_file_gives_the_same_outputs(backbone: str, tmp_path: Path) -> None:
    network = network_of(backbone)
    path = tmp_path / "net.safetensors"
    export(path, network, SPEC, {"expression": {"temperature": 2.0}}, {}, {}, "none")
    opened = open_network(str(path))
    assert opened.network.spec == network.spec
    assert opened.chip == SPEC
    with torch.no_grad():
        a, b = network(batch()[0]), opened.network(batch()[0])
    for name in a.logits:
        scale = float(a.logits[name].abs().max())
        assert float((a.logits[name] - b.logits[name]).abs().max()) < 0.01 * max(scale, 1.0)


def test_a_new_head_leaves_the_others_as_they_are(backbone: str, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    export(path, network_of(backbone), SPEC, {}, {}, {}, "none")
    base = open_network(str(path))
    grown = with_head(base, "extra", HeadSpec(EXPRESSIONS))
    with torch.no_grad():
        a, b = base.network(batch()[0]), grown(batch()[0])
    assert set(b.logits) == {"expression", "state", "extra"}
    assert torch.equal(a.logits["state"], b.logits["state"])


def test_initial_weights_come_back_from_a_file(backbone: str, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    source = network_of(backbone)
    export(path, source, SPEC, {}, {}, {}, "none")
    fresh = FaceStateNet(source.spec)
    assert initialise(fresh, str(path)) == "net.safetensors"
    for key, value in fresh.backbone.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            torch.testing.assert_close(value, source.backbone.state_dict()[key], rtol=1e-3, atol=1e-4)


def test_initial_weights_of_another_backbone_are_refused(backbone: str, tmp_path: Path) -> None:
    other = "resnet18" if backbone != "resnet18" else "mobilenet_v2"
    path = tmp_path / "other.safetensors"
    export(path, network_of(other), SPEC, {}, {}, {}, "none")
    with pytest.raises(WeightsError, match=f"does not fit the backbone '{backbone}'"):
        initialise(network_of(backbone), str(path))
