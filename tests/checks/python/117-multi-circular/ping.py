NAME = "ping"
import pong
