# How many people have to approve that an agent may more than before.
#
# What stands in `plugins.toml` was written by whoever runs the host, and needs nobody else. What a replaced component asks for was not; and what writes to a repository on which others
# depend takes a second look.
package config

default approvals := 0

approvals := 1 if asks_for_more

approvals := 1 if writes_to_guarded

asks_for_more if {
	input.kind == "changed"
	some gain in input.gains
	startswith(gain, "plugin ")
}

writes_to_guarded if {
	some name, repository in input.repositories
	repository.environment in {"production", "enterprise"}
	some gain in input.gains
	some kind in {"commit", "merge", "publication"}
	startswith(gain, sprintf("repos %s: %s ", [name, kind]))
}
