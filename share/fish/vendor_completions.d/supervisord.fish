complete -c supervisord -s c -l configuration -d 'the configuration file; searched for otherwise' -r -F
complete -c supervisord -s u -l user -d 'run as this user (name or number)' -r -f -a "(__fish_complete_users)"
complete -c supervisord -s m -l umask -d 'file mode mask in the background (default 022)' -r -f
complete -c supervisord -s d -l directory -d 'change to this directory in the background' -r -f -a "(__fish_complete_directories)"
complete -c supervisord -s l -l logfile -d 'use FILENAME as the main log' -r -F
complete -c supervisord -s y -l logfile_maxbytes -d 'size at which the main log is rotated' -r -f
complete -c supervisord -s z -l logfile_backups -d 'how many rotated main logs are kept' -r -f
complete -c supervisord -s e -l loglevel -d 'how much is logged: critical, error, warn, info, debug, trace or blather' -r -f
complete -c supervisord -s j -l pidfile -d 'the file that holds the process number' -r -F
complete -c supervisord -s i -l identifier -d 'the name of this instance' -r -f
complete -c supervisord -s q -l childlogdir -d 'where automatic logs of programs are put' -r -f -a "(__fish_complete_directories)"
complete -c supervisord -s a -l minfds -d 'least number of descriptors to start with' -r -f
complete -c supervisord -l minprocs -d 'least number of processes to start with' -r -f
complete -c supervisord -l profile_options -d 'accepted and ignored: it steers Python\'s profiler' -r -f
complete -c supervisord -s n -l nodaemon -d 'stay in the foreground (same as nodaemon=true)'
complete -c supervisord -s s -l silent -d 'do not copy the log to standard output'
complete -c supervisord -s h -l help -d 'print this text and exit'
complete -c supervisord -s v -l version -d 'print the version and exit'
complete -c supervisord -s k -l nocleanup -d 'keep automatic logs of former runs'
complete -c supervisord -s t -l strip_ansi -d 'take terminal escape sequences out of programs\' logs'
