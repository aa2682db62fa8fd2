# Sourced by ./test and .ci/run: named steps with progress, timing, and a closing summary.

steps_done=()
steps_started=$SECONDS

# step NAME COMMAND...: runs the command; if it fails, says which step it was, and ends.
step() {
    local name=$1 started=$SECONDS
    shift
    printf '\n==> %s\n' "$name"
    if ! "$@"; then
        steps_summary
        printf 'FAILED: %s\n' "$name"
        if [ "$(type -t "$1")" = file ]; then printf '        run again with: %s\n' "$*"; fi
        exit 1
    fi
    steps_done+=("$(printf '%5ds  ok       %s' $((SECONDS - started)) "$name")")
}

# skipped NAME WHY: a step that cannot be made here, which the summary must not hide.
skipped() {
    printf '\n==> %s\nskipped: %s\n' "$1" "$2"
    steps_done+=("$(printf '%6s  skipped  %s: %s' '' "$1" "$2")")
}

steps_summary() {
    printf '\n'
    printf '%s\n' "${steps_done[@]+"${steps_done[@]}"}"
    printf '%5ds  in all\n' $((SECONDS - steps_started))
}

# A test that hangs ends the run instead of hanging it, where the system has `timeout`.
limited() {
    local seconds=$1
    shift
    if command -v timeout >/dev/null; then
        timeout --foreground "$seconds" "$@"
    else
        "$@"
    fi
}
