"""One contract for every backbone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from engagement.classification.backbones import BACKBONES, to_grey
from engagement.classification.network import FaceStateNet, HeadSpec, NetworkSpec
from engagement.errors import ConfigError, WeightsError
from engagement.labels import EXPRESSIONS, LEARNER_STATES
from engagement.types import ChipSpec
from training.delivery import write_network
from training.fitting.initial import initialise
from training.fitting.lightning_module import HeadTrainer
from training.measuring.opened import open_network, with_head
from training.recipes.recipe import Recipe

pytestmark = pytest.mark.parametrize("backbone", list(BACKBONES))


def side_of(backbone: str) -> int:
    return BACKBONES[backbone].size or 32


def chip_of(backbone: str) -> ChipSpec:
    return ChipSpec(side_of(backbone), 0.9, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def network_of(backbone: str) -> FaceStateNet:
    torch.manual_seed(3)
    heads = {"expression": HeadSpec(EXPRESSIONS), "state": HeadSpec(LEARNER_STATES, hidden=8)}
    return FaceStateNet(NetworkSpec(backbone, heads)).eval()


def batch(backbone: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(5)
    side = side_of(backbone)
    return torch.randn(8, 3, side, side), torch.eye(7)[torch.arange(8) % 7], torch.arange(8)


def one_step(network: FaceStateNet, freeze: int) -> float:
    backbone = network.spec.backbone
    recipe = Recipe(backbone=backbone, size=side_of(backbone), freeze=freeze, warmup=0.5)
    module = HeadTrainer(network, "expression", recipe, torch.ones(7), steps=2)
    optimizer = module.configure_optimizers()["optimizer"]
    module.train()
    module.on_train_epoch_start()
    loss = module.loss(module(batch(backbone)[0]), batch(backbone)[1])
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def changed(network: FaceStateNet, before: dict[str, torch.Tensor]) -> set[str]:
    return {k for k, v in network.state_dict().items() if not torch.equal(v, before[k])}


def snapshot(network: FaceStateNet) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in network.state_dict().items()}


def test_outputs_have_the_documented_shapes(backbone: str) -> None:
    out = network_of(backbone)(batch(backbone)[0])
    assert out.features.shape == (8, BACKBONES[backbone].width)
    assert out.logits["expression"].shape == (8, 7)
    assert out.logits["state"].shape == (8, 3)
    assert out.identity.shape == (8, 0)
    assert all(torch.isfinite(v).all() for v in out.logits.values())


def test_every_parameter_that_a_step_trains_has_a_gradient(backbone: str) -> None:
    network = network_of(backbone).train()
    network(batch(backbone)[0]).logits["expression"].square().sum().backward()
    missing = {
        name
        for name, p in network.named_parameters()
        if p.grad is None and not name.startswith("heads.state")
    }
    assert not missing
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_evaluation_repeats_itself_and_training_drops_out(backbone: str) -> None:
    network, chips = network_of(backbone), batch(backbone)[0]
    with torch.no_grad():
        first, again = (network(chips).logits["expression"] for _ in range(2))
        assert torch.equal(first, again)
        network.train()
        torch.manual_seed(1)
        first = network(chips).logits["expression"]
        second = network(chips).logits["expression"]
        torch.manual_seed(1)
        again = network(chips).logits["expression"]
    assert not torch.equal(first, second)
    assert torch.equal(first, again)


def test_a_face_does_not_see_the_others_of_its_batch(backbone: str) -> None:
    network, chips = network_of(backbone), batch(backbone)[0]
    with torch.no_grad():
        together, alone = network(chips).features, torch.cat([network(c[None]).features for c in chips])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5 * float(together.abs().max()) + 1e-7)


def test_its_operations_can_be_counted(backbone: str) -> None:
    network, chips = network_of(backbone), batch(backbone)[0][:1]
    with torch.no_grad(), FlopCounterMode(display=False) as counted:
        network(chips)
    # At least every weight of a kernel or matrix is used once, and an addition follows each product.
    used = sum(p.numel() for n, p in network.named_parameters() if p.ndim >= 2 and "se." not in n)
    assert counted.get_total_flops() >= 2 * used * 0.9


def test_a_network_made_for_one_size_refuses_others(backbone: str) -> None:
    network, size = network_of(backbone), BACKBONES[backbone].size
    other = torch.zeros(2, 3, 64, 64)
    if not size:
        assert network(other).features.shape == (2, network.width)
        return
    with pytest.raises(ConfigError, match=rf"'{backbone}' takes chips of 48 px, not of 64.*size = 48"):
        network(other)
    with pytest.raises(ConfigError, match=rf"size 64 does not fit the backbone '{backbone}'"):
        Recipe(backbone=backbone, size=64)


def test_colour_is_seen_unless_the_backbone_is_grey(backbone: str) -> None:
    network, chips = network_of(backbone), batch(backbone)[0]
    with torch.no_grad():
        colour = network(chips).features
        grey = network(to_grey(chips).expand(-1, 3, -1, -1)).features
    same = torch.allclose(colour, grey, rtol=1e-3, atol=1e-4 * float(colour.abs().max()))
    assert same == BACKBONES[backbone].grey


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
    stages = dict(network.backbone.named_children())
    last = [name for name, m in stages.items() if list(m.parameters())][-1]
    freeze = len(stages) // 2
    one_step(network, freeze)
    moved = changed(network, before)
    for name in list(stages)[:freeze]:  # statistics of BatchNorm included
        assert not any(k.startswith(f"backbone.{name}.") for k in moved)
    assert any(k.startswith(f"backbone.{last}.") for k in moved)


def test_the_file_gives_the_same_outputs(backbone: str, tmp_path: Path) -> None:
    network = network_of(backbone)
    path = tmp_path / "net.safetensors"
    write_network(path, network, chip_of(backbone), {"expression": {"temperature": 2.0}}, {}, {}, "none")
    opened = open_network(str(path))
    assert opened.network.spec == network.spec
    assert opened.chip == chip_of(backbone)
    with torch.no_grad():
        a, b = network(batch(backbone)[0]), opened.network(batch(backbone)[0])
    for name in a.logits:
        scale = float(a.logits[name].abs().max())
        assert float((a.logits[name] - b.logits[name]).abs().max()) < 0.01 * max(scale, 1.0)


def test_a_new_head_leaves_the_others_as_they_are(backbone: str, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    write_network(path, network_of(backbone), chip_of(backbone), {}, {}, {}, "none")
    base = open_network(str(path))
    grown = with_head(base, "extra", HeadSpec(EXPRESSIONS))
    with torch.no_grad():
        a, b = base.network(batch(backbone)[0]), grown(batch(backbone)[0])
    assert set(b.logits) == {"expression", "state", "extra"}
    assert torch.equal(a.logits["state"], b.logits["state"])


def test_initial_weights_come_back_from_a_file(backbone: str, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    source = network_of(backbone)
    write_network(path, source, chip_of(backbone), {}, {}, {}, "none")
    fresh = FaceStateNet(source.spec)
    assert initialise(fresh, str(path)) == "net.safetensors"
    chips = batch(backbone)[0]
    with torch.no_grad():
        a, b = source(chips).logits["expression"], fresh.eval()(chips).logits["expression"]
    torch.testing.assert_close(a, b, rtol=0.01, atol=0.01 * float(a.abs().max()))
    for key, value in fresh.backbone.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            torch.testing.assert_close(value, source.backbone.state_dict()[key], rtol=1e-3, atol=1e-4)


def test_initial_weights_of_another_backbone_are_refused(backbone: str, tmp_path: Path) -> None:
    other = "resnet18" if backbone != "resnet18" else "mobilenet_v2"
    path = tmp_path / "other.safetensors"
    write_network(path, network_of(other), chip_of(other), {}, {}, {}, "none")
    with pytest.raises(WeightsError, match=f"does not fit the backbone '{backbone}'"):
        initialise(network_of(backbone), str(path))


def test_a_grey_backbone_starts_from_its_sibling_in_colour(backbone: str, tmp_path: Path) -> None:
    """On grey pictures it then says what the sibling says."""
    if not backbone.endswith("_grey"):
        return
    sibling = network_of(backbone.removesuffix("_grey"))
    path = tmp_path / "colour.safetensors"
    write_network(path, sibling, chip_of(backbone), {}, {}, {}, "none")
    network = network_of(backbone)
    initialise(network, str(path))
    chips = to_grey(batch(backbone)[0]).expand(-1, 3, -1, -1)
    with torch.no_grad():
        a, b = sibling(chips).features, network(chips).features
    torch.testing.assert_close(a, b, rtol=0.02, atol=0.02 * float(a.abs().max()))
