# Merges into main of a protected repository need at least one approval by a
# person. `data.github.protected` names the protected targets by a part of the
# repository's name; configuration may add to it.
package github.merge.approval

deny contains "Production merges require at least one human approval" if {
	into_main
	some fragment in data.github.protected
	contains(lower(input.repository.name), lower(fragment))
	approvals < 1
}

into_main if {
	trim_prefix(input.pull_request.base.ref, "refs/heads/") == "main"
}

# A request without a number of approvals has none.
default approvals := 0

approvals := input.pull_request.approvals if is_number(input.pull_request.approvals)
