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
                case -c --configuration -s --serverurl -u --username -p --password -r --history_file -o --output
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
complete -c supervisorctl -s c -l configuration -rF -d 'the configuration file; searched for otherwise'
complete -c supervisorctl -s h -l help -d 'print this text and exit'
complete -c supervisorctl -s i -l interactive -d 'start an interactive shell after the command, and ask before anything grave'
complete -c supervisorctl -s s -l serverurl -x -d 'where the supervisor listens, http://host:port or unix:///path'
complete -c supervisorctl -s u -l username -x -d 'the user to call as'
complete -c supervisorctl -s p -l password -x -d 'the user\'s password'
complete -c supervisorctl -s r -l history_file -rF -d 'where typed lines are kept'
complete -c supervisorctl -s o -l output -x -a 'text json' -d 'how commands answer: text (for people) or json (for programs)'
set -l known help add avail clear exit fg maintail open pid quit reload remove reread restart shutdown signal start status stop tail update version
complete -c supervisorctl -n "not __fish_seen_subcommand_from $known" -a help -d 'Explain a command'
complete -c supervisorctl -n "not __fish_seen_subcommand_from $known" -a add -d 'Take up groups that are new in the configuration'
complete -c supervisorctl -n "not __fish_seen_subcommand_from $known" -a avail -d 'List all processes of the configuration'
complete -c supervisorctl -n "not __fish_seen_subcommand_from $known" -a clear -d 'Empty the logs of processes'
complete -c supervisorctl -n "not __fish_seen_subcommand_from $known" -a exit -d 'Leave the shell'
complete -c supervisorctl -n "not __fish_seen_subcommand_from $known" -a fg -d 'Follow a process in the foreground, and write to it'
complete -c supervisorctl -n "not __fish_seen_subcommand_from $known" -a maintail -d 'Show the end of the main log'
complete -c supervisorctl -n "not __fish_seen_subcommand_from $known" -a open -d 'Talk to another supervisor from now on'
complete -c supervisorctl -n "not __fish_seen_subcommand_from $known" -a pid -d 'Tell process numbers'
complete -c supervisorctl -n "not __fish_seen_subcommand_from $known" -a quit -d 'Leave the shell'
complete -c supervisorctl -n "not __fish_seen_subcommand_from $known" -a reload -d 'Stop all programs and begin anew with the file as it is now'
complete -c supervisorctl -n "not __fish_seen_subcommand_from $known" -a remove -d 'Forget groups whose processes have all stopped'
complete -c supervisorctl -n "not __fish_seen_subcommand_from $known" -a reread -d 'Read the configuration, and tell what is different'
complete -c supervisorctl -n "not __fish_seen_subcommand_from $known" -a restart -d 'Stop processes and start them again'
complete -c supervisorctl -n "not __fish_seen_subcommand_from $known" -a shutdown -d 'Stop all programs and end the daemon'
complete -c supervisorctl -n "not __fish_seen_subcommand_from $known" -a signal -d 'Send a signal to processes'
complete -c supervisorctl -n "not __fish_seen_subcommand_from $known" -a start -d 'Start processes'
complete -c supervisorctl -n "not __fish_seen_subcommand_from $known" -a status -d 'Tell how processes are'
complete -c supervisorctl -n "not __fish_seen_subcommand_from $known" -a stop -d 'Stop processes'
complete -c supervisorctl -n "not __fish_seen_subcommand_from $known" -a tail -d 'Show the end of a process\'s log'
complete -c supervisorctl -n "not __fish_seen_subcommand_from $known" -a update -d 'Read the configuration and put all differences into effect'
complete -c supervisorctl -n "not __fish_seen_subcommand_from $known" -a version -d 'Tell which Supervisor the daemon is'
complete -c supervisorctl -n '__fish_seen_subcommand_from help' -a 'add avail clear exit fg maintail open pid quit reload remove reread restart shutdown signal start status stop tail update version'
complete -c supervisorctl -n '__fish_seen_subcommand_from signal' -a 'HUP INT QUIT KILL TERM USR1 USR2'
complete -c supervisorctl -n '__fish_seen_subcommand_from add remove update' -a '(__supervisorctl_groups)'
complete -c supervisorctl -n '__fish_seen_subcommand_from clear fg pid restart signal start status stop tail' -a '(__supervisorctl_names)'
complete -c supervisorctl -n '__fish_seen_subcommand_from clear pid restart signal start stop update' -a all