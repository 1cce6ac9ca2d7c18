#compdef minix-service
# Completes service: its verbs, switches and options, and the labels that the supervisor knows.

_minix_service_labels() {
    local -a labels
    labels=(${(f)"$(timeout 2 $service list 2>/dev/null </dev/null | awk 'NR > 1 { print $1 }')"})
    compadd -- $labels
}

_minix-service() {
    local -a verbs=(
{%- for verb in service.all_verbs() %}
        '{{ verb.name }}:{{ verb.help.replace('\'', "'\\''") }}'
{%- endfor %}
    )
    local word verb=''
    for word in $words[2,CURRENT-1]; do
        [[ $word == -* ]] || { verb=$word; break }
    done
    case $words[CURRENT-1] in
        -label|-progname|-trg-label) _minix_service_labels; return ;;
        {{ service.with_file() }}) _files; return ;;
        -ready) compadd -- auto ctl notify fd: health listen alive; return ;;
    esac
    case $verb in
        '')
            _describe verb verbs
            compadd -- {{ service.switches(" ") }} {{ service.long_options(" ") }} ;;
        {{ service.binary_verbs("|") }})
            if [[ $words[CURRENT] == -* ]]; then
                compadd -- {{ service.options(" ") }}
            else
                _files
            fi ;;
        sysctl) compadd -- {{ service.controls(" ") }} ;;
        shutdown) compadd -- -stop ;;
        {{ service.label_verbs("|") }}) _minix_service_labels ;;
    esac
}

if [ "$funcstack[1]" = "_minix-service" ]; then
    _minix-service "$@"
else
    compdef _minix-service minix-service
fi
