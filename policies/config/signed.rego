# A component that came out of a registry was made by somebody else: it runs here once somebody who is trusted signed it.
package config.signed

deny contains violation if {
	is_string(input.plugin.source)
	startswith(input.plugin.source, "oci:")
	not is_string(input.plugin.signed_by)
	violation := {
		"msg": sprintf("The plugin `%s` came from a registry and nobody who is trusted signed it", [input.plugin.name]),
		"help": "sign it with `infinity plugin sign`, and name the key in `trusted` of `[plugins]`",
	}
}
