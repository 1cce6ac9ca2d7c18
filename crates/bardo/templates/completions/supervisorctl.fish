# Completes supervisorctl: its flags, its commands, and the names that the supervisor knows.

# Asks the supervisor that the flags lead to. One that does not answer soon is not waited for.
function __supervisorctl_ask
    set -l words (commandline -opc)
    set -l asked $words[1]
    set -l flag ''
    for word in $words[2..]
        if test -n "$flag"
            contains -- $flag -o --output; or set asked $asked $flag $word
            set flag ''
        else
            switch $word
                case {{ control.with_argument().replace('|', " ") }}
                    set flag $word
                # Names are asked for as lines for people, whatever the command is to answer.
                case '-o*' '--output=*' -i --interactive -h --help
                case '-*'
                    set asked $asked $word
                case '*'
                    break
            end
        end
    end
    timeout 2 $asked $argv[1] 2>/dev/null </dev/null
end

function __supervisorctl_names
    __supervisorctl_ask status | awk '$2 ~ /^(STOPPED|STARTING|RUNNING|BACKOFF|STOPPING|EXITED|FATAL|UNKNOWN)$/ {
        print $1
        if (split($1, part, ":") == 2 && !seen[part[1]]++) print part[1] ":*"
    }'
end

function __supervisorctl_groups
    __supervisorctl_ask avail | awk '$2 == "in" || $2 == "avail" { sub(/:.*/, "", $1); if (!seen[$1]++) print $1 }'
end

complete -c supervisorctl -f
{%- for flag in control.flags %}
complete -c supervisorctl{% if let Some(letter) = flag.short %} -s {{ letter }}{% endif %} -l {{ flag.long }}{% if let Some(argument) = flag.argument %}{% if *argument == "FILE" %} -rF{% else %} -x{% endif %}{% if *argument == "FORMAT" %} -a 'text json'{% endif %}{% endif %} -d '{{ flag.help.replace('\'', "\\'") }}'
{%- endfor %}
set -l known help {{ control.all(" ") }}
complete -c supervisorctl -n "not __fish_seen_subcommand_from $known" -a help -d 'Explain a command'
{%- for command in control.commands %}
complete -c supervisorctl -n "not __fish_seen_subcommand_from $known" -a {{ command.name }} -d '{{ command.about.replace('\'', "\\'") }}'
{%- endfor %}
complete -c supervisorctl -n '__fish_seen_subcommand_from help' -a '{{ control.all(" ") }}'
complete -c supervisorctl -n '__fish_seen_subcommand_from signal' -a 'HUP INT QUIT KILL TERM USR1 USR2'
complete -c supervisorctl -n '__fish_seen_subcommand_from {{ control.takes_groups(" ") }}' -a '(__supervisorctl_groups)'
complete -c supervisorctl -n '__fish_seen_subcommand_from {{ control.takes_processes(" ") }}' -a '(__supervisorctl_names)'
complete -c supervisorctl -n '__fish_seen_subcommand_from {{ control.takes_all(" ") }}' -a all
