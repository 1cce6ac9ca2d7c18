# Completes service: its verbs, switches and options, and the labels that the supervisor knows.

function __minix_service_labels
    timeout 2 minix-service list 2>/dev/null </dev/null | awk 'NR > 1 { print $1 }'
end

set -l verbs {{ service.verbs(" ") }}
complete -c minix-service -f
{%- for verb in service.all_verbs() %}
complete -c minix-service -n "not __fish_seen_subcommand_from $verbs" -a {{ verb.name }} -d '{{ verb.help.replace('\'', "\\'") }}'
{%- endfor %}
{%- for switch in service.all_switches() %}
complete -c minix-service -s {{ switch.letter }} -d '{{ switch.help.replace('\'', "\\'") }}'
{%- endfor %}
{%- for (name, argument, help) in service.all_long_options() %}
complete -c minix-service -l {{ name }}{% if argument.is_some() %} -rF{% endif %} -d '{{ help.replace('\'', "\\'") }}'
{%- endfor %}
{%- for option in service.all_options() %}
complete -c minix-service -n '__fish_seen_subcommand_from {{ service.binary_verbs(" ") }}' -o {{ option.name }}{% if service.takes_value(option) %} -r{% if service.takes_file(option) %}F{% endif %}{% endif %} -d '{{ option.help.replace('\'', "\\'").replace('`', "") }}'
{%- endfor %}
complete -c minix-service -n '__fish_seen_subcommand_from {{ service.binary_verbs(" ") }}' -F
complete -c minix-service -n '__fish_seen_subcommand_from {{ service.label_verbs(" ") }}' -a '(__minix_service_labels)'
complete -c minix-service -n '__fish_seen_subcommand_from sysctl' -a '{{ service.controls(" ") }}'
complete -c minix-service -n '__fish_seen_subcommand_from shutdown' -o stop
