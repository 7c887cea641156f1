#!/usr/bin/env bash
# A newcomer's first minutes, timed: install the package, then init, check and run on a folder of 200 generated photos.
# Usage: scripts/newcomer.sh [FOLDER]
#   With WITH=PYTHON the dependencies are those of that Python's environment, and only siamesekit is installed;
#   without it pip installs everything. RUN holds more arguments for `siamesekit run`.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
folder=$(realpath -m "${1:-$(mktemp -d)}")
mkdir -p "$folder"
cd "$folder"
export XDG_CACHE_HOME="$folder/cache" MPLCONFIGDIR="$folder/cache/mpl" PIP_DISABLE_PIP_VERSION_CHECK=1
read -ra more <<< "${RUN:-}"
results=()

timed() {
    local begin end
    begin=$(date +%s.%N)
    echo "$ ${*:2}"
    "${@:2}"
    end=$(date +%s.%N)
    results+=("$(printf '%-8s %6.1f s' "$1" "$(awk "BEGIN { print $end - $begin }")")")
}

if [ -n "${WITH:-}" ]; then
    "$WITH" -m venv --without-pip env
    timed install "$WITH" -m pip --python env/bin/python install --quiet --no-deps "$root"
    packages=$(env/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    "$WITH" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > "$packages/dependencies.pth"
else
    "${PYTHON:-python3}" -m venv env
    timed install env/bin/python -m pip install --quiet "$root"
fi
PATH="$folder/env/bin:$PATH"

python - <<'PY'
import numpy as np
from pathlib import Path
from PIL import Image

side = 160
y, x = np.mgrid[:side, :side] / side
for individual in range(25):  # 8 photos of each of 25: spots are the individual's, light, place and noise the photo's
    own = np.random.default_rng(individual)
    spots, colour = own.uniform(0.1, 0.9, (9, 2)), own.uniform(80, 220, 3)
    folder = Path("photos", f"animal_{individual:02}")
    folder.mkdir(parents=True)
    for photo in range(8):
        here = np.random.default_rng([individual, photo])
        shift = here.normal(0, 0.05, 2)
        far = np.min([np.hypot(x - a, y - b) for a, b in spots + shift], axis=0)
        body = np.where(far[..., None] < 0.07, 40, colour) * here.uniform(0.7, 1.2)
        pixels = (body + here.normal(0, 12, (side, side, 3))).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{photo}.jpg", quality=90)
PY

timed init siamesekit init . --photos photos
timed check siamesekit check config.toml
timed run siamesekit run config.toml --out first "${more[@]}"
test -s first/report.html
printf '%s\n' "" "$(find photos -name '*.jpg' | wc -l) photos in $folder" "${results[@]}"
