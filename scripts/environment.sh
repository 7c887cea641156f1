# Makes the virtual environment that the README's commands run in, once, and installs the project into it.
# Usage: . scripts/environment.sh   (from the project's root; SIAMESEKIT_ENV chooses another place than .venv)
# It is sourced, so it sets no shell option and ends no shell: where it fails, it says so by its status.
SIAMESEKIT_ENV="${SIAMESEKIT_ENV:-.venv}"
if [ ! -x "$SIAMESEKIT_ENV/bin/siamesekit" ] || [ pyproject.toml -nt "$SIAMESEKIT_ENV/installed" ]; then
    echo "installing into $SIAMESEKIT_ENV (PyTorch and more: some GB, a few minutes)" >&2
    "${PYTHON:-python3}" -m venv "$SIAMESEKIT_ENV" &&
        "$SIAMESEKIT_ENV/bin/python" -m pip install --quiet --disable-pip-version-check -e '.[dev,docs,pretrained]' &&
        touch "$SIAMESEKIT_ENV/installed" || return 1
fi
PATH="$SIAMESEKIT_ENV/bin:$PATH"
