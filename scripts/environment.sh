# Makes the virtual environment that the README's commands run in, once, and installs the project into it.
# Usage: . scripts/environment.sh   (from the project's root; SIAMESEKIT_ENV chooses another place than .venv)
set -eu
SIAMESEKIT_ENV="${SIAMESEKIT_ENV:-.venv}"
if [ ! -x "$SIAMESEKIT_ENV/bin/siamesekit" ] || [ pyproject.toml -nt "$SIAMESEKIT_ENV/installed" ]; then
    "${PYTHON:-python3}" -m venv "$SIAMESEKIT_ENV"
    "$SIAMESEKIT_ENV/bin/python" -m pip install --quiet --disable-pip-version-check -e '.[dev,docs]'
    touch "$SIAMESEKIT_ENV/installed"
fi
PATH="$SIAMESEKIT_ENV/bin:$PATH"
