"""torchvision is imported, and optimizers work, without PyTorch's compiler, which works as ever once it is used."""

import subprocess
import sys
from pathlib import Path

import pytest

NOT_THERE = (
    "avoided = {'torch._dynamo', 'torch._dynamo.utils', 'sympy', 'triton'}; "
    "avoided -= {'sympy'} if sys.modules['torch'].__version__ < (2, 7) else set(); "  # there, more imports SymPy
    "assert not avoided & set(sys.modules)"
)


def done(code: str) -> None:
    """Run code in a process of its own."""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


@pytest.mark.medium
def test_an_encoder_of_either_library_needs_no_compiler() -> None:
    done(f"import sys, siamesekit, timm, torchvision.models; {NOT_THERE}")


@pytest.mark.medium
def test_the_engine_needs_neither_the_compiler_nor_what_divides_networks_to_be_imported() -> None:
    done(f"import sys, siamesekit.experiment.running; {NOT_THERE}; assert 'torch.distributed.fsdp' not in sys.modules")


@pytest.mark.slow
def test_torchvision_asks_the_compiler_once_it_needs_it() -> None:
    done(
        "import sys, siamesekit; from torchvision.ops import roi_align as module; import torchvision, torch, inspect\n"
        f"{NOT_THERE}\n"
        "home = sys.modules['torchvision.ops.roi_align']\n"
        "assert 'is_compile_supported' in inspect.getsource(home), 'its source is found by its own loader'\n"
        "boxes = torch.tensor([[0.0, 0, 0, 4, 4]])\n"
        "assert torchvision.ops.roi_align(torch.ones(1, 1, 8, 8), boxes, 2).shape == (1, 1, 2, 2)\n"
        "told = home.is_compile_supported('cpu')\n"
        "from torch._dynamo.utils import is_compile_supported\n"
        "assert home.is_compile_supported is not is_compile_supported and told == is_compile_supported('cpu')\n"
        "doubled = torch.compile(lambda x: 2 * x, backend='eager')\n"
        "assert doubled(torch.ones(2)).tolist() == [2, 2]\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("first", ["import torch._dynamo", "import torchvision"])
def test_what_is_imported_before_stays(first: str) -> None:
    done(f"{first}; import sys, siamesekit, torchvision, torch._dynamo; assert hasattr(torch._dynamo, 'optimize')")


@pytest.mark.slow
def test_a_stand_in_becomes_the_compiler_if_more_of_it_is_used() -> None:
    """As another version of torchvision may do."""
    done(
        "import sys, torch; from siamesekit.hardware import postponed_compiler as module\n"
        "stand_in = module._StandIn(module.USED); stand_in.__path__ = []\n"
        "sys.modules |= {module.COMPILER: module._StandIn(module.COMPILER), module.USED: stand_in}\n"
        "from torch._dynamo.utils import counters\n"
        "import torch._dynamo.utils\n"
        "assert torch._dynamo.utils.counters is counters\n"
    )


POSTPONED = "import sys, torch; from siamesekit.hardware.postponed_compiler import compiler_postponed\n"
EVERY_OPTIMIZER = """
def used(kind):
    weight = torch.nn.Parameter(torch.ones(2, 2))
    optimizer = kind([weight], lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        if kind is torch.optim.SparseAdam:
            weight.grad = torch.ones(2, 2).to_sparse()
        else:
            weight.square().sum().backward()
        optimizer.step(lambda: weight.square().sum()) if kind is torch.optim.LBFGS else optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
    assert (weight != 1).all(), kind
    return weight.detach().clone()

KINDS = [kind for kind in vars(torch.optim).values() if isinstance(kind, type) and kind is not torch.optim.Optimizer]
KINDS = [kind for kind in KINDS if issubclass(kind, torch.optim.Optimizer)]
MARKED = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")

def marks():
    methods = [getattr(torch.optim.Optimizer, name).__wrapped__ for name in MARKED]
    return [getattr(method, "__dynamo_disable", None) for method in methods]
"""


@pytest.mark.medium
def test_optimizers_need_no_compiler_and_are_left_as_they_were() -> None:
    done(
        f"{POSTPONED}{EVERY_OPTIMIZER}"
        "with compiler_postponed():\n"
        "    found = [used(kind) for kind in KINDS]\n"
        "    torch.distributed.init_process_group('gloo', store=torch.distributed.HashStore(), rank=0, world_size=1)\n"
        "    assert 'sympy' not in sys.modules and len(found) > 10\n"
        f"{NOT_THERE}\n"
        "assert marks() == [None] * 4\n"
        "torch._dynamo.disable\n"
        "assert all(map(torch.equal, found, map(used, KINDS)))\n"
        "assert all(mark._torchdynamo_disable for mark in marks()), 'hidden from the compiler, as PyTorch wants it'\n"
    )


@pytest.mark.slow
def test_a_run_needs_no_compiler(project: Path, tmp_path: Path) -> None:
    done(
        "import sys; from pathlib import Path; import siamesekit\n"
        f"config = siamesekit.load_config({str(project / 'config.toml')!r})\n"
        f"siamesekit.run(config, Path({str(tmp_path / 'run')!r}), device='cpu')\n"
        "assert 'torch._dynamo' not in sys.modules"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "asked",
    [
        "import torch._dynamo.config as found",
        "import torch._dynamo; found = torch._dynamo.config",
        "from torch._dynamo import config as found",
        "torch.compile(lambda x: 2 * x, backend='eager')(torch.ones(2)); found = torch._dynamo.config",
    ],
)
def test_the_compiler_is_there_once_a_run_s_plugin_asks_for_it(asked: str) -> None:
    done(
        f"{POSTPONED}{EVERY_OPTIMIZER}"
        "@torch._disable_dynamo\n"
        "def plugin(x): return x + 1\n"
        "with compiler_postponed():\n"
        "    used(torch.optim.Adam)\n"
        "    hidden = torch.compiler.disable(lambda x: 3 * x)\n"
        "    assert hidden(2) == 6 and plugin(1) == 2 and 'sympy' not in sys.modules\n"
        f"    {asked}\n"
        "    from torch._dynamo import eval_frame\n"
        "    assert found is sys.modules['torch._dynamo.config'] is torch._dynamo.config is eval_frame.config\n"
        "    assert found.__spec__.loader is not None and 'siamesekit' not in type(found.__spec__.loader).__module__\n"
        "    used(torch.optim.Adam)\n"
        "    assert all(mark._torchdynamo_disable for mark in marks())\n"
        "    assert hidden(2) == 6 and plugin(1) == 2\n"
        "    with_break = torch.compile(lambda x: hidden(x) + 1, backend='eager')\n"
        "    assert with_break(torch.ones(2)).tolist() == [4, 4]\n"
        "assert torch._dynamo.config is found and hidden(3) == 9\n"
    )
