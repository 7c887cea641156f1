#!/usr/bin/env bash
# Tests the project with the lowest versions that pyproject.toml allows, in an environment of its own (several GB).
# Usage: scripts/lowest.sh FOLDER [PYTEST ARGUMENT...]   (PYTHON chooses the interpreter; the lowest one, say)
set -euo pipefail
folder=$(realpath -m "${1:?usage: scripts/lowest.sh FOLDER [PYTEST ARGUMENT...]}")
shift
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
mkdir -p "$folder"
# "name>=1.2" of the dependencies and of the parquet extra become "name==1.2"; tools for development stay as they come
"$python" - > "$folder/constraints.txt" <<'PY'
import re
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
for requirement in [*project["dependencies"], *project["optional-dependencies"]["parquet"]]:
    name, bound = re.fullmatch(r"([\w.-]+)>=([\d.]+)", requirement).groups()
    print(f"{name}=={bound}")
PY
cat "$folder/constraints.txt"
if [ ! -x "$folder/env/bin/python" ]; then
    "$python" -m venv "$folder/env"
fi
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check -e '.[dev,parquet]' -c "$folder/constraints.txt"
"$folder/env/bin/python" -m pip check
"$folder/env/bin/python" -m pytest -m "not slow and not huge" "$@"
