import ping
def back(): return ping.NAME + "-pong"
