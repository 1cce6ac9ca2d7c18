# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_bardo_global_optspecs
    string join \n h/help V/version
end

function __fish_bardo_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_bardo_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_bardo_using_subcommand
    set -l cmd (__fish_bardo_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c bardo -n "__fish_bardo_needs_command" -s h -l help -d 'Print help'
complete -c bardo -n "__fish_bardo_needs_command" -s V -l version -d 'Print version'
complete -c bardo -n "__fish_bardo_needs_command" -f -a "demo" -d 'See it work; needs no file and no root'
complete -c bardo -n "__fish_bardo_needs_command" -f -a "check" -d 'Say what in a configuration deserves attention, with file and line'
complete -c bardo -n "__fish_bardo_needs_command" -f -a "doctor" -d 'Say what this machine offers and refuses, and what is wrong now'
complete -c bardo -n "__fish_bardo_needs_command" -f -a "status" -d 'Say how services are, and why'
complete -c bardo -n "__fish_bardo_needs_command" -f -a "why" -d 'Say why a service is as it is: its last twenty decisions'
complete -c bardo -n "__fish_bardo_needs_command" -f -a "events" -d 'Say what was decided about all services, and what happens to them'
complete -c bardo -n "__fish_bardo_needs_command" -f -a "restart" -d 'Have the supervisor itself begin anew'
complete -c bardo -n "__fish_bardo_needs_command" -f -a "run" -d 'Supervise what service(8) brings up, in the foreground'
complete -c bardo -n "__fish_bardo_needs_command" -f -a "supervisord" -d 'Keep the programs of a configuration running'
complete -c bardo -n "__fish_bardo_needs_command" -f -a "supervisorctl" -d 'Ask a supervisor and steer it'
complete -c bardo -n "__fish_bardo_needs_command" -f -a "service" -d 'Bring services up that are watched and reborn, as MINIX 3 does'
complete -c bardo -n "__fish_bardo_needs_command" -f -a "pidproxy" -d 'Run a command, and pass signals on to the process in a file'
complete -c bardo -n "__fish_bardo_needs_command" -f -a "echo_supervisord_conf" -d 'Print a configuration to begin with'
complete -c bardo -n "__fish_bardo_needs_command" -f -a "selftest" -d 'Try on this machine what is promised; needs no root'
complete -c bardo -n "__fish_bardo_needs_command" -f -a "completions" -d 'Print what makes a shell complete the words of all tools'
complete -c bardo -n "__fish_bardo_needs_command" -f -a "manual" -d 'Write manual pages and completions into a folder like /usr/local/share'
complete -c bardo -n "__fish_bardo_needs_command" -f -a "version" -d 'Print the version'
complete -c bardo -n "__fish_bardo_needs_command" -f -a "help" -d 'Print this text'
complete -c bardo -n "__fish_bardo_using_subcommand demo" -l for -d 'End after so many seconds' -r
complete -c bardo -n "__fish_bardo_using_subcommand demo" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bardo -n "__fish_bardo_using_subcommand check" -l json -d 'One JSON document instead of text'
complete -c bardo -n "__fish_bardo_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bardo -n "__fish_bardo_using_subcommand doctor" -s c -l configuration -d 'The configuration of the daemon; searched for otherwise' -r -F
complete -c bardo -n "__fish_bardo_using_subcommand doctor" -l socket -d 'The socket file of the daemon, in place of a configuration' -r -F
complete -c bardo -n "__fish_bardo_using_subcommand doctor" -l json -d 'One JSON document instead of text'
complete -c bardo -n "__fish_bardo_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bardo -n "__fish_bardo_using_subcommand status" -s c -l configuration -d 'The configuration of the daemon; searched for otherwise' -r -F
complete -c bardo -n "__fish_bardo_using_subcommand status" -l socket -d 'The socket file of the daemon, in place of a configuration' -r -F
complete -c bardo -n "__fish_bardo_using_subcommand status" -l json -d 'One JSON document instead of text'
complete -c bardo -n "__fish_bardo_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bardo -n "__fish_bardo_using_subcommand why" -s c -l configuration -d 'The configuration of the daemon; searched for otherwise' -r -F
complete -c bardo -n "__fish_bardo_using_subcommand why" -l socket -d 'The socket file of the daemon, in place of a configuration' -r -F
complete -c bardo -n "__fish_bardo_using_subcommand why" -l json -d 'One JSON document instead of text'
complete -c bardo -n "__fish_bardo_using_subcommand why" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bardo -n "__fish_bardo_using_subcommand events" -s c -l configuration -d 'The configuration of the daemon; searched for otherwise' -r -F
complete -c bardo -n "__fish_bardo_using_subcommand events" -l socket -d 'The socket file of the daemon, in place of a configuration' -r -F
complete -c bardo -n "__fish_bardo_using_subcommand events" -s f -l follow -d 'Go on with what happens'
complete -c bardo -n "__fish_bardo_using_subcommand events" -l json -d 'One JSON document in each line instead of text'
complete -c bardo -n "__fish_bardo_using_subcommand events" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bardo -n "__fish_bardo_using_subcommand restart" -s c -l configuration -d 'The configuration of the daemon; searched for otherwise' -r -F
complete -c bardo -n "__fish_bardo_using_subcommand restart" -l socket -d 'The socket file of the daemon, in place of a configuration' -r -F
complete -c bardo -n "__fish_bardo_using_subcommand restart" -l self -d 'The supervisor itself is meant, and no program'
complete -c bardo -n "__fish_bardo_using_subcommand restart" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bardo -n "__fish_bardo_using_subcommand run" -s c -l configuration -d 'Read this configuration rather than none' -r -F
complete -c bardo -n "__fish_bardo_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bardo -n "__fish_bardo_using_subcommand supervisord" -s c -l configuration -d 'the configuration file; searched for otherwise' -r -F
complete -c bardo -n "__fish_bardo_using_subcommand supervisord" -s u -l user -d 'run as this user (name or number)' -r -f -a "(__fish_complete_users)"
complete -c bardo -n "__fish_bardo_using_subcommand supervisord" -s m -l umask -d 'file mode mask in the background (default 022)' -r -f
complete -c bardo -n "__fish_bardo_using_subcommand supervisord" -s d -l directory -d 'change to this directory in the background' -r -f -a "(__fish_complete_directories)"
complete -c bardo -n "__fish_bardo_using_subcommand supervisord" -s l -l logfile -d 'use FILENAME as the main log' -r -F
complete -c bardo -n "__fish_bardo_using_subcommand supervisord" -s y -l logfile_maxbytes -d 'size at which the main log is rotated' -r -f
complete -c bardo -n "__fish_bardo_using_subcommand supervisord" -s z -l logfile_backups -d 'how many rotated main logs are kept' -r -f
complete -c bardo -n "__fish_bardo_using_subcommand supervisord" -s e -l loglevel -d 'how much is logged: critical, error, warn, info, debug, trace or blather' -r -f
complete -c bardo -n "__fish_bardo_using_subcommand supervisord" -s j -l pidfile -d 'the file that holds the process number' -r -F
complete -c bardo -n "__fish_bardo_using_subcommand supervisord" -s i -l identifier -d 'the name of this instance' -r -f
complete -c bardo -n "__fish_bardo_using_subcommand supervisord" -s q -l childlogdir -d 'where automatic logs of programs are put' -r -f -a "(__fish_complete_directories)"
complete -c bardo -n "__fish_bardo_using_subcommand supervisord" -s a -l minfds -d 'least number of descriptors to start with' -r -f
complete -c bardo -n "__fish_bardo_using_subcommand supervisord" -l minprocs -d 'least number of processes to start with' -r -f
complete -c bardo -n "__fish_bardo_using_subcommand supervisord" -l profile_options -d 'accepted and ignored: it steers Python\'s profiler' -r -f
complete -c bardo -n "__fish_bardo_using_subcommand supervisord" -s n -l nodaemon -d 'stay in the foreground (same as nodaemon=true)'
complete -c bardo -n "__fish_bardo_using_subcommand supervisord" -s s -l silent -d 'do not copy the log to standard output'
complete -c bardo -n "__fish_bardo_using_subcommand supervisord" -s h -l help -d 'print this text and exit'
complete -c bardo -n "__fish_bardo_using_subcommand supervisord" -s v -l version -d 'print the version and exit'
complete -c bardo -n "__fish_bardo_using_subcommand supervisord" -s k -l nocleanup -d 'keep automatic logs of former runs'
complete -c bardo -n "__fish_bardo_using_subcommand supervisord" -s t -l strip_ansi -d 'take terminal escape sequences out of programs\' logs'
complete -c bardo -n "__fish_bardo_using_subcommand supervisorctl" -s c -l configuration -d 'the configuration file; searched for otherwise' -r -F
complete -c bardo -n "__fish_bardo_using_subcommand supervisorctl" -s s -l serverurl -d 'where the supervisor listens, http://host:port or unix:///path' -r -f
complete -c bardo -n "__fish_bardo_using_subcommand supervisorctl" -s u -l username -d 'the user to call as' -r -f -a "(__fish_complete_users)"
complete -c bardo -n "__fish_bardo_using_subcommand supervisorctl" -s p -l password -d 'the user\'s password' -r -f
complete -c bardo -n "__fish_bardo_using_subcommand supervisorctl" -s r -l history_file -d 'where typed lines are kept' -r -F
complete -c bardo -n "__fish_bardo_using_subcommand supervisorctl" -s o -l output -d 'how commands answer: text (for people) or json (for programs)' -r -f
complete -c bardo -n "__fish_bardo_using_subcommand supervisorctl" -s h -l help -d 'print this text and exit'
complete -c bardo -n "__fish_bardo_using_subcommand supervisorctl" -s i -l interactive -d 'start an interactive shell after the command, and ask before anything grave'
complete -c bardo -n "__fish_bardo_using_subcommand pidproxy" -s h -l help -d 'Print help'
complete -c bardo -n "__fish_bardo_using_subcommand echo_supervisord_conf" -s h -l help -d 'Print help'
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and not __fish_seen_subcommand_from survival hostile events service" -s h -l help -d 'Print help'
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and not __fish_seen_subcommand_from survival hostile events service" -f -a "survival" -d 'Kill the supervisor again and again, and check that nothing is lost'
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and not __fish_seen_subcommand_from survival hostile events service" -f -a "hostile" -d 'Attack the HTTP server, and check that programs do not notice'
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and not __fish_seen_subcommand_from survival hostile events service" -f -a "events" -d 'Have much to tell, and check that event listeners hear it'
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and not __fish_seen_subcommand_from survival hostile events service" -f -a "service" -d 'Let services hang and crash, and measure how soon they are there again'
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and __fish_seen_subcommand_from survival" -l kills -d 'How often it is killed' -r
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and __fish_seen_subcommand_from survival" -l hangs -d 'How often it is stopped: every second time until the keeper replaces it' -r
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and __fish_seen_subcommand_from survival" -l children -d 'Programs more, which do nothing' -r
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and __fish_seen_subcommand_from survival" -l seconds -d 'Spread over this time' -r
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and __fish_seen_subcommand_from survival" -l minutes -d 'How long --soak goes on' -r
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and __fish_seen_subcommand_from survival" -l seed -d 'What chance begins with' -r
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and __fish_seen_subcommand_from survival" -l answer-within -d 'What the median time to the first answer may be at most' -r
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and __fish_seen_subcommand_from survival" -l soak -d 'Go on for --minutes, with a kill every three seconds and a stop in each minute, and compare descriptors and memory at the end with those after one minute'
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and __fish_seen_subcommand_from survival" -l keep -d 'Leave the folder with all logs there'
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and __fish_seen_subcommand_from survival" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and __fish_seen_subcommand_from hostile" -l connections -d 'Clients of the largest crowds' -r
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and __fish_seen_subcommand_from hostile" -l seconds -d 'How long each attack goes on' -r
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and __fish_seen_subcommand_from hostile" -l memory-within -d 'What the supervisor\'s memory must stay below' -r
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and __fish_seen_subcommand_from hostile" -l restart-within -d 'What the median time to a restart must stay below' -r
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and __fish_seen_subcommand_from hostile" -l starts-percent -d 'Starts in a time that there must be, of those without an attack' -r
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and __fish_seen_subcommand_from hostile" -l keep -d 'Leave the folder with all logs there'
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and __fish_seen_subcommand_from hostile" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and __fish_seen_subcommand_from events" -l seconds -d 'How long programs write' -r
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and __fish_seen_subcommand_from events" -l memory-within -d 'What the memory of keeper and supervisor must stay below' -r
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and __fish_seen_subcommand_from events" -l answer-within -d 'What the median time to an answer of the API must stay below' -r
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and __fish_seen_subcommand_from events" -l keep -d 'Leave the folder with all logs there'
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and __fish_seen_subcommand_from events" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and __fish_seen_subcommand_from service" -l hangs -d 'How often a program hangs' -r
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and __fish_seen_subcommand_from service" -l replaced-within -d 'What the median time from its last answer to the next one may be at most' -r
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and __fish_seen_subcommand_from service" -l kills -d 'How often each of the two is killed' -r
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and __fish_seen_subcommand_from service" -l slower-percent -d 'How much longer than a program a service may be away' -r
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and __fish_seen_subcommand_from service" -l hearts -d 'Programs that have a heartbeat' -r
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and __fish_seen_subcommand_from service" -l seconds -d 'How long they are watched' -r
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and __fish_seen_subcommand_from service" -l percent -d 'What keeper and supervisor may use of one processor meanwhile' -r
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and __fish_seen_subcommand_from service" -l keep -d 'Leave the folder with all logs there'
complete -c bardo -n "__fish_bardo_using_subcommand selftest; and __fish_seen_subcommand_from service" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bardo -n "__fish_bardo_using_subcommand completions" -s h -l help -d 'Print help'
complete -c bardo -n "__fish_bardo_using_subcommand manual" -s h -l help -d 'Print help'
complete -c bardo -n "__fish_bardo_using_subcommand version" -s h -l help -d 'Print help'
complete -c bardo -n "__fish_bardo_using_subcommand help" -s h -l help -d 'Print help'
