#compdef supervisorctl
# Completes supervisorctl: its flags, its commands, and the names that the supervisor knows.

# Asks the supervisor that the flags lead to. One that does not answer soon is not waited for.
_supervisorctl_ask() {
    local flag
    local -a asked=($service)
    for flag in ${(k)opt_args}; do
        # Names are asked for as lines for people, whatever the command is to answer.
        [[ $flag == (-o|--output|-i|--interactive|-h|--help) ]] && continue
        asked+=($flag ${(Q)opt_args[$flag]})
    done
    timeout 2 $asked $1 2>/dev/null </dev/null
}

_supervisorctl_names() {
    local -a names
    names=(${(f)"$(_supervisorctl_ask status |
        awk '$2 ~ /^(STOPPED|STARTING|RUNNING|BACKOFF|STOPPING|EXITED|FATAL|UNKNOWN)$/ {
            print $1
            if (split($1, part, ":") == 2 && !seen[part[1]]++) print part[1] ":*"
        }')"})
    compadd -- $names
}

_supervisorctl_groups() {
    local -a names
    names=(${(f)"$(_supervisorctl_ask avail |
        awk '$2 == "in" || $2 == "avail" { sub(/:.*/, "", $1); if (!seen[$1]++) print $1 }')"})
    compadd -- $names
}

_supervisorctl() {
    local context state state_descr line
    local -A opt_args
    local -a commands=(
        'help:Explain a command'
{%- for command in control.commands %}
        '{{ command.name }}:{{ command.about.replace('\'', "'\\''") }}'
{%- endfor %}
    )
    _arguments -C -S \
{%- for flag in control.flags %}
        {% match flag.short %}{% when Some with (letter) %}'(-{{ letter }} --{{ flag.long }})'{-{{ letter }},--{{ flag.long }}}{% when None %}--{{ flag.long }}{% endmatch %}'[{{ flag.help.replace('\'', "'\\''") }}]{% match flag.argument %}{% when Some with (argument) %}:{{ argument }}:{% if *argument == "FILE" %}_files{% else if *argument == "FORMAT" %}(text json){% endif %}{% when None %}{% endmatch %}' \
{%- endfor %}
        '1:command:->command' \
        '*::argument:->argument'
    case $state in
        command) _describe command commands ;;
        argument)
            case $line[1] in
                help) _describe command commands ;;
                {{ control.takes_groups("|") }}) _supervisorctl_groups ;;
            esac
            if [[ $line[1] == signal && $CURRENT -eq 2 ]]; then
                compadd -- HUP INT QUIT KILL TERM USR1 USR2
                return
            fi
            case $line[1] in
                {{ control.takes_processes("|") }}) _supervisorctl_names ;;
            esac
            case $line[1] in
                {{ control.takes_all("|") }}) compadd -- all ;;
            esac
            ;;
    esac
}

if [ "$funcstack[1]" = "_supervisorctl" ]; then
    _supervisorctl "$@"
else
    compdef _supervisorctl supervisorctl
fi
