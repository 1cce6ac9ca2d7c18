# Completes service: its verbs, switches and options, and the labels that the supervisor knows.

# The labels of all services. A supervisor that does not answer soon has none.
_service_labels() {
    timeout 2 "$@" list 2>/dev/null </dev/null | awk 'NR > 1 { print $1 }'
}

_service() {
    # Bash cuts words at colons; labels may have some.
    local line=${COMP_LINE:0:COMP_POINT}
    local current=${line##*[[:space:]]}
    local -a words
    read -ra words <<<"$line"
    [[ -n $current ]] && unset 'words[-1]'

    local -a asked=("${words[0]}")
    local word verb='' operand='' option=''
    for word in "${words[@]:1}"; do
        if [[ -n $option ]]; then
            [[ $option == --socket ]] && asked+=("$option" "$word")
            option=''
            continue
        fi
        case $word in
            {{ service.with_value() }}) option=$word ;;
            -*) ;;
            *) if [[ -z $verb ]]; then verb=$word; else operand=$word; fi ;;
        esac
    done

    COMPREPLY=()
    local candidates=''
    case $option in
        -label|-progname|-trg-label) candidates=$(_service_labels "${asked[@]}") ;;
        {{ service.with_file() }}) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
        -ready) candidates='auto ctl notify fd: health listen alive' ;;
        '')
            case $verb,$current in
                {{ service.binary_verbs(",-*|") }},-*) candidates='{{ service.options(" ") }}' ;;
                ,-*) candidates='{{ service.switches(" ") }} {{ service.long_options(" ") }}' ;;
                ,*) candidates='{{ service.verbs(" ") }}' ;;
                {{ service.binary_verbs(",*|") }},*)
                    [[ -z $operand ]] && mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
                sysctl,*) candidates='{{ service.controls(" ") }}' ;;
                shutdown,*) candidates='-stop' ;;
                {{ service.label_verbs(",*|") }},*)
                    [[ -z $operand ]] && candidates=$(_service_labels "${asked[@]}") ;;
            esac ;;
    esac
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

complete -F _service minix-service
# Other systems have a tool of the same name, whose completion is left alone.
[[ $(type -p service) -ef $(type -p bardo) ]] && complete -F _service service
