"""What memory is left: the least of the system's, the control groups', and the address space."""

import subprocess
import sys

import pytest

from rankstill import memory

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def unified(tmp_path, monkeypatch):
    """Control groups of version 2: /jobs has a limit of 1,000 bytes, /jobs/mine has none of its own."""
    group = tmp_path / "jobs"
    (group / "mine").mkdir(parents=True)
    (group / "memory.max").write_text("1000\n")
    (group / "memory.current").write_text("700\n")
    (group / "memory.stat").write_text("anon 600\ninactive_file 50\n")
    (group / "mine" / "memory.max").write_text("max\n")
    (group / "mine" / "memory.current").write_text("700\n")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    return tmp_path


def test_a_limit_holds_for_the_groups_below_it(unified):
    found = list(memory._left(unified, "/jobs/mine", "memory.max", "memory.current", "inactive_file"))
    assert found == [1000 - 700 + 50], "file pages are given back; a group without a limit says nothing"
    assert list(memory._left(unified, "/", "memory.max", "memory.current", "inactive_file")) == []


@linux
def test_the_least_counts(monkeypatch):
    monkeypatch.setattr(memory, "_groups", lambda: iter([5_000, 3_000]))
    assert memory.available_memory() == 3_000
    monkeypatch.setattr(memory, "_groups", lambda: iter([-1]))
    assert memory.available_memory() == 0, "more than the limit is used"
    monkeypatch.setattr(memory, "_groups", lambda: iter([]))
    assert memory.available_memory() > 1 << 20


def test_nothing_known_is_no_limit(monkeypatch):
    for name in ("_system", "_address_space"):
        monkeypatch.setattr(memory, name, lambda: None)
    monkeypatch.setattr(memory, "_groups", lambda: iter([]))
    assert memory.available_memory() is None


@linux
def test_a_limit_of_address_space_counts():
    code = (
        "import resource; from rankstill.memory import available_memory, _field; from pathlib import Path\n"
        "used = _field(Path('/proc/self/status'), 'VmSize:', 1024)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (100 << 20), resource.RLIM_INFINITY))\n"
        "print(available_memory())"
    )
    left = int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
    assert 90 << 20 < left <= 100 << 20


@linux
def test_freed_memory_is_kept():
    """Passes of a small network that frees 100 MB each time wait for few new pages; by default for many."""
    code = (
        "import sys, resource, torch\n"
        "from rankstill.memory import keep_freed_memory\n"
        "if sys.argv[1] == 'keep': assert keep_freed_memory()\n"
        "net = torch.nn.Sequential(*[torch.nn.Linear(128, 128) for _ in range(24)])\n"
        "def step(): net(torch.ones(8192, 128)).sum().backward()\n"
        "for _ in range(4): step()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "for _ in range(12): step()\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)"
    )
    faults = {
        how: int(subprocess.run([sys.executable, "-c", code, how], check=True, capture_output=True, text=True).stdout)
        for how in ("keep", "default")
    }
    assert faults["keep"] < 0.5 * faults["default"]
