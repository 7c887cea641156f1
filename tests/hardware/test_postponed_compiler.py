"""torchvision is imported without PyTorch's compiler, which works as ever once it is used."""

import subprocess
import sys

import pytest

NOT_THERE = "assert not {'torch._dynamo', 'torch._dynamo.utils', 'sympy', 'triton'} & set(sys.modules)"


def done(code: str) -> None:
    """Run code in a process of its own."""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)


def test_an_encoder_of_either_library_needs_no_compiler() -> None:
    done(f"import sys, siamesekit, timm, torchvision.models; {NOT_THERE}")


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
