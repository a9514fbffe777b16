"""WireGuard listeners: transparent capture of commands, and of clients outside.

hosts_file     this machine's hosts file
lease_client   the launcher's side of a lease; standard library only
lease          one run: label, command, allowed hosts
command_line   a command without its credentials
hosts          allow-lists of hosts
layers         detection of the protocol of a captured connection
server         one WireGuard server of mitmproxy, started and stopped
lease_server   hands leases out over a unix socket
static         the listener for clients that no launcher starts
client_config  the configuration of such a client; standard library only
service        all of it together, in the one process that holds the lock
"""
