# Runs a server until its own input ends, as it does when whoever holds the other end is
# gone, killed or not; then kills the server and removes its folder.
#
# Takes the folder, the signal that ends the server, and the command. Understands on its
# input: a signal's name, and "leave" for an end that leaves the folder to the next guard.
folder=$1 last=$2
shift 2
"$@" </dev/null 2>&1 &
server=$!
# From here on the output ends when the last process of the server does.
exec >/dev/null
while read -r word; do
    case $word in
    leave) exit ;;
    KILL) kill -KILL "$server" && wait "$server" ;;
    *) kill -"$word" "$server" ;;
    esac
done 2>/dev/null
{
    kill -"$last" "$server"
    kill -CONT "$server"
    wait "$server"
} 2>/dev/null
rm -rf "$folder"
