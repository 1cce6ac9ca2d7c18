# Completes supervisorctl: its flags, its commands, and the names that the supervisor knows.

# The names of processes, and each group once as GROUP:*. A supervisor that does not answer
# soon has none.
_supervisorctl_names() {
    timeout 2 "$@" status 2>/dev/null </dev/null |
        awk '$2 ~ /^(STOPPED|STARTING|RUNNING|BACKOFF|STOPPING|EXITED|FATAL|UNKNOWN)$/ {
            print $1
            if (split($1, part, ":") == 2 && !seen[part[1]]++) print part[1] ":*"
        }'
}

_supervisorctl_groups() {
    timeout 2 "$@" avail 2>/dev/null </dev/null |
        awk '$2 == "in" || $2 == "avail" { sub(/:.*/, "", $1); if (!seen[$1]++) print $1 }'
}

_supervisorctl() {
    # Bash cuts words at colons; names have some.
    local line=${COMP_LINE:0:COMP_POINT}
    local current=${line##*[[:space:]]}
    local -a words
    read -ra words <<<"$line"
    [[ -n $current ]] && unset 'words[-1]'

    local -a asked=("${words[0]}")
    local word command='' flag='' arguments=0
    for word in "${words[@]:1}"; do
        if [[ -n $command ]]; then
            arguments=$((arguments + 1))
        elif [[ -n $flag ]]; then
            [[ $flag == @(-o|--output) ]] || asked+=("$flag" "$word")
            flag=''
        else
            case $word in
                {{ control.with_argument() }}) flag=$word ;;
                # Names are asked for as lines for people, whatever the command is to answer.
                -o*|--output=*|-i|--interactive|-h|--help) ;;
                -*) asked+=("$word") ;;
                *) command=$word ;;
            esac
        fi
    done

    COMPREPLY=()
    local candidates=''
    if [[ -n $flag ]]; then
        case $flag in
            -o|--output) candidates='text json' ;;
            -c|--configuration|-r|--history_file) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
        esac
    elif [[ -z $command ]]; then
        case $current in
            -*) candidates='{{ control.flag_words() }}' ;;
            *) candidates='help {{ control.all(" ") }}' ;;
        esac
    elif [[ $command == signal && $arguments -eq 0 ]]; then
        candidates='HUP INT QUIT KILL TERM USR1 USR2'
    else
        case $command in
            help) candidates='{{ control.all(" ") }}' ;;
            {{ control.takes_groups("|") }}) candidates=$(_supervisorctl_groups "${asked[@]}") ;;
        esac
        case $command in
            {{ control.takes_processes("|") }}) candidates=$(_supervisorctl_names "${asked[@]}") ;;
        esac
        case $command in
            {{ control.takes_all("|") }}) candidates+=' all' ;;
        esac
    fi
    # A star in a name is no pattern here.
    local candidate
    local -a all
    read -ra all -d '' <<<"$candidates"
    for candidate in "${all[@]}"; do
        [[ $candidate == "$current"* ]] && COMPREPLY+=("$candidate")
    done
    if [[ $current == *:* && $COMP_WORDBREAKS == *:* ]]; then
        local cut=${current%"${current##*:}"}
        COMPREPLY=("${COMPREPLY[@]/#"$cut"/}")
    fi
}

complete -F _supervisorctl supervisorctl
