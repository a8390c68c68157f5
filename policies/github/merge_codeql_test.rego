package github.merge.codeql_test

import data.github.merge.codeql

message := "CodeQL scan must pass before merge"

merge(base, runs) := {
	"repository": {"name": "shop"},
	"pull_request": {"number": 1, "base": {"ref": base}, "head": {"sha": "0"}, "approvals": 1},
	"check_runs": runs,
}

test_denies_without_check_runs if {
	codeql.deny == {message} with input as merge("main", [])
}

test_denies_without_the_list if {
	codeql.deny == {message} with input as {"pull_request": {"base": {"ref": "main"}}}
}

test_denies_each_other_conclusion if {
	every conclusion in ["failure", "neutral", "cancelled", "skipped", "timed_out", "action_required", "stale", null] {
		codeql.deny == {message} with input as merge("main", [{"name": "CodeQL", "conclusion": conclusion}])
	}
}

test_denies_a_run_that_is_not_over if {
	codeql.deny == {message} with input as merge("main", [{"name": "CodeQL"}])
}

test_denies_when_one_of_two_runs_failed if {
	codeql.deny == {message} with input as merge("main", [
		{"name": "CodeQL", "conclusion": "success"},
		{"name": "CodeQL", "conclusion": "failure"},
	])
}

test_denies_when_one_of_two_runs_is_not_over if {
	codeql.deny == {message} with input as merge("main", [
		{"name": "CodeQL", "conclusion": "success"},
		{"name": "CodeQL"},
	])
}

test_denies_when_another_check_passed if {
	codeql.deny == {message} with input as merge("main", [{"name": "CodeQL-lint", "conclusion": "success"}])
}

test_allows_after_success if {
	count(codeql.deny) == 0 with input as merge("main", [
		{"name": "build", "conclusion": "failure"},
		{"name": "lint"},
		{"name": "CodeQL", "conclusion": "success"},
	])
}

test_allows_another_branch if {
	count(codeql.deny) == 0 with input as merge("develop", [])
}
