"""WireGuard listeners: transparent capture of whole processes, and of clients outside.

hosts_file     this machine's hosts file
lease_client   the launcher's side of a lease; standard library only
lease          what a lease is: label, command, allowed hosts
command_line   a command without its credentials
hosts          which hosts an allow-list covers
layers         what a captured connection speaks
server         one WireGuard server of mitmproxy, started and stopped
lease_server   hands leases out over a unix socket
static         the listener for clients that no launcher starts
client_config  what such a client needs to know; standard library only
service        all of it together, in the one process that holds the lock
"""
