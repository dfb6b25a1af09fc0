# Tells login shells where Docker is reached, and people when their access to this host ends. hostadmin puts this file here and keeps
# it as it is; `login_script = ""` in its configuration ends that. No program is started but for a notice that is really there.
hostadmin_guard= # the guard's socket, where it is not the one that docker looks for by itself
if [ -n "$hostadmin_guard" ] && [ -S "$hostadmin_guard" ] && [ -z "${DOCKER_HOST:-}" ]; then
    export DOCKER_HOST="unix://$hostadmin_guard"
fi
unset hostadmin_guard
case $- in
*i*)
    hostadmin_notices=/run/hostadmin/notices
    if [ -n "$hostadmin_notices" ] && [ -n "${LOGNAME:-}" ] && [ -f "$hostadmin_notices/$LOGNAME" ] && [ "$(id -u 2>/dev/null || echo 0)" != 0 ]; then
        { IFS= read -r hostadmin_notice <"$hostadmin_notices/$LOGNAME" && printf '%s\n' "$hostadmin_notice"; } 2>/dev/null || :
    fi
    unset hostadmin_notices hostadmin_notice
    ;;
esac
