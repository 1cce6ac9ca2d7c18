set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
umask 022
cd /

# Settings of the administrator, which win over those above. The configuration may be
# named there, and variables for all programs be exported. They are written for shells that go
# on where a command says no.
set +eu
for settings in "/etc/default/$NAME" "/etc/sysconfig/$NAME"; do
    if [ -r "$settings" ]; then . "$settings"; fi
done
set -eu

say() { printf '%s: %s\n' "$NAME" "$1"; }
complain() { printf '%s: %s\n' "$NAME" "$1" >&2; }

usage() {
    printf 'Usage: %s {start|stop|restart|try-restart|condrestart|reload|force-reload|status}\n' "$0" >&2
    exit 2
}

need_root() {
    if [ "$(id -u)" != 0 ]; then
        complain "cannot $action it: only root may; try: sudo $0 $action"
        exit 4
    fi
}

# Whether it runs, and as which process: the pid file names one that lives, is our
# executable, and was started for this service. Any other has the number by chance.
running() {
    PID=
    [ -r "$PIDFILE" ] || return 1
    read -r PID <"$PIDFILE" || :
    is_ours "$PID"
}

is_ours() {
    case $1 in '' | *[!0-9]*) return 1 ;; esac
    words=$(tr '\0' '\n' 2>/dev/null <"/proc/$1/cmdline") || return 1
    case "
$words
" in
    *"
--service-run
$NAME
"*) ;;
    *) return 1 ;;
    esac
    # Only its owner and root may look at it; for all others the words have to do.
    executable=$(readlink "/proc/$1/exe" 2>/dev/null) || return 0
    wanted=$(readlink -f "$BINARY" 2>/dev/null) || wanted=$BINARY
    [ "${executable% (deleted)}" = "$wanted" ] || [ "${executable% (deleted)}" = "$BINARY" ]
}

# Whether a process that was ours has ended, and has let go of all that it had.
is_over() {
    state=$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) || return 0
    case $state in '' | Z* | X*) return 0 ;; esac
    # One that is just ending has no words any more; with others, somebody else has its number.
    [ -n "$(tr -d '\0' 2>/dev/null <"/proc/$1/cmdline")" ] || return 1
    ! is_ours "$1"
}

# A process as PID:START, which no other one ever is: its number may be another's by now.
born() {
    line=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
    # Behind the name, which may hold anything: the state, and nineteenth from there the start.
    set -- "$1" ${line##*)}
    if [ "$#" -gt 20 ]; then
        shift 20
        printf '%s:%s ' "${line%% *}" "$1"
    fi
}

# Whether a process that is told as born() tells it is there, and not only a name without one.
lives() {
    line=$(cat "/proc/${1%%:*}/stat" 2>/dev/null) || return 1
    set -- "$1" ${line##*)}
    case ${2:-} in '' | Z* | X*) return 1 ;; esac
    [ "${21:-}" = "${1##*:}" ]
}

# What has been started by a process, all of it, each as born() tells it.
descendants() {
    for stat in /proc/[0-9]*/stat; do
        line=$(cat "$stat" 2>/dev/null) || continue
        child=${line%% *}
        # Behind the name, which may hold anything: the state, then the parent.
        set -- "$1" ${line##*)}
        if [ "${3:-}" = "$1" ]; then
            printf '%s:%s ' "$child" "${21:-}"
            (descendants "$child")
        fi
    done
}

quoted() {
    for word; do
        printf "'%s' " "$(printf '%s\n' "$word" | sed "s/'/'\\\\''/g")"
    done
}

run() {
    if [ -z "$ACCOUNT" ]; then
        "$@"
    else
        su -s /bin/sh "$ACCOUNT" -c "exec $(quoted "$@")"
    fi
}

# Where an account has its service, which only root can make.
make_folder() {
    if [ -n "$ACCOUNT" ]; then
        RUNTIME_DIRECTORY=/run/$NAME
        export RUNTIME_DIRECTORY
        mkdir -p "$RUNTIME_DIRECTORY"
        chown "$ACCOUNT" "$RUNTIME_DIRECTORY"
    fi
}

# Has what a killed keeper has left taken over by another one, if there is something.
take_over() {
    [ -S "/run/$NAME/handover" ] || return 1
    make_folder
    run "$BINARY" --service-run "$NAME" --heir --background --pidfile "$PIDFILE" 2>/dev/null && running
}

start() {
    if running; then
        say "it runs already (process $PID)"
        return 0
    fi
    if [ ! -x "$BINARY" ]; then
        complain "$BINARY is missing or cannot be executed: install bardo again"
        return 5
    fi
    set -- --service-run "$NAME"
    if [ -n "$CONFIG" ]; then
        if [ ! -r "$CONFIG" ]; then
            complain "its configuration $CONFIG is missing or cannot be read"
            return 6
        fi
        set -- "$@" --config "$CONFIG"
    fi
    make_folder
    # Programs may need many descriptors; where that is forbidden there are fewer.
    ulimit -n 1048576 2>/dev/null || :
    code=0
    run "$BINARY" "$@" --background --pidfile "$PIDFILE" || code=$?
    if [ "$code" != 0 ]; then
        complain "it did not start (exit code $code)"
        return 1
    fi
    if [ -d /var/lock/subsys ]; then : >"/var/lock/subsys/$SCRIPT"; fi
    say "started"
}

stop() {
    if ! running && ! take_over; then
        say "it does not run"
        forget
        return 0
    fi
    if ! end_by TERM "$PID"; then
        complain "it has not ended in $STOP_SECONDS seconds and is killed with all that it has started"
        end_all "$PID"
    fi
    forget
    say "stopped"
}

# Tells a keeper to end, and waits for as long as that may take.
end_by() {
    kill "-$1" "$2" 2>/dev/null || :
    patiently is_over "$2"
}

# Waits until something is so, for as long as a stop may take.
patiently() {
    # The time is counted in tenths of a second where sleep knows them.
    left=$((STOP_SECONDS * 10))
    until "$@"; do
        if [ "$left" -le 0 ]; then return 1; fi
        if sleep 0.1 2>/dev/null; then
            left=$((left - 1))
        else
            sleep 1
            left=$((left - 10))
        fi
    done
}

end_all() {
    # First nobody may start anything any more.
    kill -STOP "$1" 2>/dev/null || :
    family=$(descendants "$1")
    end_by KILL "$1" || :
    # Its supervisor knows also the programs that a former keeper has started, and does not
    # hang perhaps.
    if take_over; then
        if end_by TERM "$PID"; then return 0; fi
        family="$family $(descendants "$PID") $(born "$PID")"
    fi
    kill_all $family
}

# Kills processes that are told as born() tells them, and waits until they are gone.
kill_all() {
    for victim; do
        if lives "$victim"; then kill -KILL "${victim%%:*}" 2>/dev/null || :; fi
    done
    patiently are_gone "$@" || complain "some of what it had started is still there"
}

are_gone() {
    for victim; do
        if lives "$victim"; then return 1; fi
    done
}

forget() {
    rm -f "$PIDFILE"
    if [ -d /var/lock/subsys ]; then rm -f "/var/lock/subsys/$SCRIPT"; fi
}

reload() {
    if ! running; then
        complain "it does not run"
        return 7
    fi
    kill -HUP "$PID" || return 1
    say "it reads its configuration again"
}

status() {
    if running; then
        say "it runs (process $PID)"
        return 0
    fi
    if [ -e "$PIDFILE" ] && [ ! -r "$PIDFILE" ]; then
        complain "$PIDFILE cannot be read"
        return 1
    fi
    say "it does not run"
    return 3
}

[ "$#" -eq 1 ] || usage
action=$1
code=0
case $action in
start | stop | reload)
    need_root
    "$action" || code=$?
    ;;
force-reload)
    need_root
    reload || code=$?
    ;;
restart)
    need_root
    stop || code=$?
    if [ "$code" = 0 ]; then start || code=$?; fi
    ;;
try-restart | condrestart)
    need_root
    if running; then
        stop || code=$?
        if [ "$code" = 0 ]; then start || code=$?; fi
    else
        say "it does not run"
    fi
    ;;
status)
    status || code=$?
    ;;
*)
    usage
    ;;
esac
exit "$code"
