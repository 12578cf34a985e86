#!/bin/sh
# Make the virtual environment DIR with a Python that Suyuan runs on: tools/venv.sh DIR [PYTHON]
# Without PYTHON the first that fits is taken; 3.12 and 3.11 are asked first, because LevelDB's binding has wheels for them.
# An environment of the same Python is kept as it is, one of another Python is made anew.
set -eu

directory=$1
wanted=${2:-}

fits() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

python=
for candidate in ${wanted:-python3.12 python3.11 python3 python3.13 python3.14}; do
    if fits "$candidate"; then
        python=$candidate
        break
    fi
done

if [ -z "$python" ]; then
    if [ -n "$wanted" ]; then
        echo "error: PYTHON=$wanted is not a Python 3.11 or later with venv and pip" >&2
    else
        echo "error: found no Python 3.11 or later with venv and pip" >&2
    fi
    echo "  Debian, Ubuntu:  apt install python3 python3-venv" >&2
    echo "  one elsewhere:   make PYTHON=/path/to/python3.12 ..." >&2
    exit 1
fi

version='import platform; print(platform.python_version())'
new=$("$python" -c "$version")
old=$("$directory/bin/python" -c "$version" 2>/dev/null || true)
if [ "$new" != "$old" ]; then
    echo "→ $directory: an environment of Python $new"
    "$python" -m venv --clear "$directory"
fi
