# A credential that travels in the clear is everybody's on the way.
package config.credentials

deny contains violation if {
	some gain in input.gains
	startswith(gain, "http http://")
	contains(gain, ": header ")
	not regex.match(`^http http://(localhost|127\.0\.0\.1|\[::1\])[:/]`, gain)
	violation := {
		"msg": "A credential may not be sent over `http`",
		"help": "use `https`, or a host of this machine",
	}
}
