"""A checkpoint holds all that a training goes on from."""

import pytest
import torch
from torch import nn

from rankstill.errors import OutputError
from rankstill.students.checkpoint import load_checkpoint, save_checkpoint

CURVE = {"loss": [0.1, 1 / 3], "excess": [], "learning_rate": [1e-30, 2.0]}


class _Net(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.inner = nn.Linear(3, width)
        self.outer = nn.Linear(width, 1)

    def forward(self, x):
        return self.outer(torch.tanh(self.inner(x)))


def _training(seed: int, width: int = 4):
    torch.manual_seed(seed)
    net = _Net(width)
    return net, torch.optim.AdamW(net.parameters(), lr=0.1, fused=True)


def _step(net, optimizer, number):
    x = torch.linspace(-1, number, 12).view(4, 3)
    optimizer.zero_grad()
    (net(x) - 1).square().mean().backward()
    optimizer.step()


def _state(net, optimizer):
    moments = [optimizer.state[p][key] for p in net.parameters() for key in ("step", "exp_avg", "exp_avg_sq")]
    return [*(p.detach().clone() for p in net.parameters()), *(m.clone() for m in moments)]


def test_going_on_from_a_checkpoint_is_not_having_stopped(tmp_path):
    net, optimizer = _training(1)
    for number in range(3):
        _step(net, optimizer, number)
    save_checkpoint(tmp_path / "c", net, optimizer, 3, CURVE, 512)
    other, its = _training(2)
    step, curve, budget = load_checkpoint(tmp_path / "c", other, its)
    assert (step, curve, budget) == (3, CURVE, 512), "floats come back exactly"
    for one, two in zip(_state(net, optimizer), _state(other, its), strict=True):
        assert torch.equal(one, two)
    for number in range(3, 6):
        _step(net, optimizer, number)
        _step(other, its, number)
    for one, two in zip(_state(net, optimizer), _state(other, its), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("change", ["width", "names", "not all"])
def test_a_checkpoint_of_another_model_is_refused(tmp_path, change):
    net, optimizer = _training(1)
    _step(net, optimizer, 1)
    save_checkpoint(tmp_path / "c", net, optimizer, 1, CURVE, 512)
    other = {"width": _Net(5), "names": nn.Linear(3, 1), "not all": nn.ModuleDict({"inner": nn.Linear(3, 4)})}[change]
    before = [p.detach().clone() for p in other.parameters()]
    with pytest.raises(OutputError, match="is not a checkpoint of this model"):
        load_checkpoint(tmp_path / "c", other, torch.optim.AdamW(other.parameters()))
    assert all(torch.equal(p, b) for p, b in zip(other.parameters(), before, strict=True))


def test_a_damaged_checkpoint_is_named(tmp_path):
    net, optimizer = _training(1)
    save_checkpoint(tmp_path / "c", net, optimizer, 1, CURVE, 512)
    whole = (tmp_path / "c").read_bytes()
    for part in (b"", whole[:20], whole[:-5]):
        (tmp_path / "c").write_bytes(part)
        with pytest.raises(OutputError, match="is damaged"):
            load_checkpoint(tmp_path / "c", net, optimizer)


def test_a_write_that_fails_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    net, optimizer = _training(1)
    save_checkpoint(tmp_path / "c", net, optimizer, 1, CURVE, 512)
    before = (tmp_path / "c").read_bytes()
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OutputError, match="no space left"):
        save_checkpoint(tmp_path / "c", net, optimizer, 2, CURVE, 512)
    assert [p.name for p in tmp_path.iterdir()] == ["c"]
    assert (tmp_path / "c").read_bytes() == before
