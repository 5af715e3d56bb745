# Sourced by the scripts beside it: a Python that fits, .venv with eomd in it, Debian packages. POSIX sh.

root=$(cd "$(dirname "$0")/.." && pwd)
venv=$root/.venv
missing=
cd "$root" || exit 1

die() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

# The first Python in range; its name alone is not enough, a shim may lead nowhere.
find_python() {
    for candidate in python3 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    die "needs Python 3.11, 3.12 or 3.13 (found: $(python3 --version 2>&1 || echo none)); on Debian: apt-get install python3 python3-venv"
}

# need PROGRAM PACKAGE: the Debian package is wanted where the program is not there.
need() {
    (PATH=$PATH:/usr/sbin:/sbin && command -v "$1" >/dev/null) || missing="$missing $2"
}

# Installs what is missing where we may, else says what to run. Nothing that comes with it is started.
install_missing() {
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" = 0 ]; then
        as_root=
    elif sudo -n true 2>/dev/null; then
        as_root="sudo -n"
    else
        die "missing:$missing; run as root: apt-get install$missing"
    fi
    command -v apt-get >/dev/null || die "missing:$missing"
    echo "installing$missing …" >&2
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 sh -c '
        policy=/usr/sbin/policy-rc.d
        if [ ! -e $policy ] && { printf "#!/bin/sh\nexit 101\n" >$policy; } 2>/dev/null; then
            chmod 755 $policy
            trap "rm -f $policy" EXIT
        fi
        # another apt, such as that of unattended upgrades, is waited for
        run() { said=$(apt-get -qq -o DPkg::Lock::Timeout=300 "$@" </dev/null 2>&1); }
        install() { run install -y --no-install-recommends "$@"; }
        install "$@" || { run update; install "$@"; } || { echo "$said" >&2; exit 1; }' sh $missing ||
        die "could not install:$missing"
    missing=
}

# make_venv [EXTRA,…]: .venv with eomd as it stands here; nothing to do while its requirements are the same.
make_venv() {
    python=$(find_python) || exit 1
    mkdir -p .cache
    exec 9>.cache/venv.lock
    flock 9
    # its programs name the folder and the Python they were made with
    base="$("$python" --version) in $venv"
    [ "$(cat "$venv/.base" 2>/dev/null)" = "$base" ] && is_new= || is_new=yes
    [ -z "$is_new" ] || "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        missing="$missing $("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
    install_missing
    wanted=$(echo "$base"; cat setup.cfg pyproject.toml setup.py)
    stamp=$venv/.installed-${1:-plain}
    if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
        if [ -n "$is_new" ]; then
            "$python" -m venv --clear "$venv" || die "could not make $venv"
            echo "$base" >"$venv/.base"
        fi
        echo "installing eomd into .venv …" >&2
        "$venv/bin/python" -m pip install --quiet --quiet --disable-pip-version-check -e ".${1:+[$1]}" ||
            die "could not install eomd into .venv"
        printf '%s\n' "$wanted" >"$stamp"
    fi
    exec 9>&-
}
