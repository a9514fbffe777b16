"""Forward proxy for commands that are pointed at it by HTTPS_PROXY.

port_setting    the name of its port's setting, for messages
request_target  the target of a request to a proxy; pure
mode            mitmproxy's mode and first layer of such a connection
server          one listener, started and stopped
"""
