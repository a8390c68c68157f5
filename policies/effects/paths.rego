# What no effect may write: files that make others run programs, or that decide who may do what. A person changes those.
package effects.paths

deny contains violation if {
	some file in input.files
	some pattern in data.effects.guarded
	glob.match(pattern, ["/"], file.path)
	not allowed(file.path)
	violation := {
		"msg": concat("", ["`", file.path, "` is not for agents to write"]),
		"path": file.path,
		"help": "let a person commit it, or name the path under `allow` in `policies/effects/data.json`",
	}
}

allowed(path) if {
	some pattern in data.effects.allow
	glob.match(pattern, ["/"], path)
}
