# Sourced by bin/serve and bin/test: one virtual environment, .venv, installed again only when pyproject.toml changed.
# Expects $here, the root of the clone. Plain sh.

venv=$here/.venv

fail() {
    echo "$1" >&2
    exit 2
}

# The newest Python at hand that is new enough.
find_python() {
    for candidate in ${TIDEGATE_PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

# make_venv NAME EXTRA: NAME keeps apart what bin/serve and bin/test have installed; EXTRA is "" or "[test]".
make_venv() {
    # By content and place, not by time: a clone gives every file a new time, and a moved clone breaks its paths.
    wanted="$here $(cksum <"$here/pyproject.toml")"
    stamp=$venv/.installed-$1
    if [ -x "$venv/bin/python" ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
        return
    fi
    python=$(find_python) || fail "Python 3.11 or newer is missing: install it, or name it in TIDEGATE_PYTHON"
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        fail "Python's venv is missing: install it (Debian, Ubuntu: apt-get install python3-venv)"
    if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -c 'import pip' 2>/dev/null ||
        [ "$(cat "$venv/.place" 2>/dev/null)" != "$here" ]; then
        echo "making the virtual environment .venv" >&2
        rm -rf "$venv"
        "$python" -m venv "$venv" || fail "the virtual environment .venv could not be made"
        echo "$here" >"$venv/.place"
    fi
    echo "installing Tidegate into .venv (once)" >&2
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable "$here$2" >&2 ||
        fail "the installation into .venv failed: see above (is the network there?)"
    echo "$wanted" >"$stamp"
}
