#!/bin/sh
# Makes .venv with the locked packages and this project in editable form.
# uv does it when present, otherwise venv and pip; both install the same versions from requirements.lock.
set -eu
cd "$(dirname "$0")/.."

want=$(cat requirements.lock pyproject.toml tools/setup.sh | cksum)
if [ -x .venv/bin/clsbench ] && [ "$(cat .venv/.setup 2>/dev/null || true)" = "$want" ] \
   && [ "$(cat .venv/.place 2>/dev/null || true)" = "$PWD" ]; then
  exit 0
fi

python=
for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
  if [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 \
     && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
if [ -z "$python" ]; then
  echo "setup: no Python 3.11 or newer found. Install one, or name it: make setup PYTHON=/path/to/python3" >&2
  exit 3
fi

echo "setup: installing the locked packages into .venv (first run: one to two minutes)" >&2
rm -rf .venv
if command -v uv >/dev/null 2>&1; then
  uv venv --quiet --python "$python" .venv
  uv pip install --quiet --python .venv/bin/python --require-hashes -r requirements.lock
  uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation -e .
else
  "$python" -m venv .venv || {
    echo "setup: '$python -m venv' failed. On Debian and Ubuntu: apt install python3-venv; or install uv." >&2
    exit 3
  }
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
fi
printf '%s\n' "$PWD" > .venv/.place
printf '%s\n' "$want" > .venv/.setup
echo "setup: done. The command is .venv/bin/clsbench" >&2
