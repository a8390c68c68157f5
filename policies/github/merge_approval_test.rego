package github.merge.approval_test

import data.github.merge.approval

message := "Production merges require at least one human approval"

merge(name, base, approvals) := {
	"repository": {"name": name},
	"pull_request": {"number": 1, "base": {"ref": base}, "head": {"sha": "0"}, "approvals": approvals},
	"check_runs": [],
}

test_denies_a_production_merge_without_approval if {
	approval.deny == {message} with input as merge("shop-production", "main", 0)
}

test_denies_an_enterprise_merge_without_approval if {
	approval.deny == {message} with input as merge("enterprise-portal", "main", 0)
}

test_denies_in_any_case if {
	approval.deny == {message} with input as merge("Shop-Production", "refs/heads/main", 0)
}

test_denies_when_the_number_of_approvals_is_missing if {
	facts := object.remove(merge("production", "main", 0), ["pull_request"])
	approval.deny == {message} with input as object.union(facts, {"pull_request": {"base": {"ref": "main"}}})
}

test_denies_when_the_number_of_approvals_is_text if {
	approval.deny == {message} with input as merge("production", "main", "2")
}

test_denies_each_target_of_the_data if {
	approval.deny == {message} with input as merge("vault", "main", 0) with data.github.protected as ["vault"]
}

test_allows_with_one_approval if {
	count(approval.deny) == 0 with input as merge("shop-production", "main", 1)
}

test_allows_another_branch if {
	count(approval.deny) == 0 with input as merge("shop-production", "feature/main", 0)
}

test_allows_another_repository if {
	count(approval.deny) == 0 with input as merge("playground", "main", 0)
}
