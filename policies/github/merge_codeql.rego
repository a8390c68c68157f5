# Merges into main need a CodeQL scan that passed.
package github.merge.codeql

deny contains "CodeQL scan must pass before merge" if {
	into_main
	not passed
}

into_main if {
	trim_prefix(input.pull_request.base.ref, "refs/heads/") == "main"
}

# Of several runs of the check, each must have passed: a rerun replaces its
# predecessor, so a second one means another analysis.
passed if {
	conclusions := {run.conclusion | some run in input.check_runs; run.name == "CodeQL"}
	conclusions == {"success"}
	every run in input.check_runs {
		concluded(run)
	}
}

# A CodeQL run that is still going on has no conclusion.
concluded(run) if run.name != "CodeQL"

concluded(run) if is_string(run.conclusion)
