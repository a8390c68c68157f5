package effects_test

import data.effects
import data.effects.paths
import data.effects.secrets

test_an_ordinary_file_is_fine if {
	count(paths.deny) == 0 with input as {"files": [{"path": "docs/a.md", "added": []}]}
}

test_workflows_are_not_for_agents if {
	every path in [".github/workflows/ci.yml", ".github/workflows/a/b.yml", ".gitmodules", "CODEOWNERS"] {
		count(paths.deny) == 1 with input as {"files": [{"path": path, "added": []}]}
	}
}

test_an_allowed_path_is_fine if {
	count(paths.deny) == 0 with input as {"files": [{"path": "CODEOWNERS", "added": []}]}
		with data.effects.allow as ["CODEOWNERS"]
}

test_a_machine_owned_branch_needs_nobody if {
	every branch, plugin in {"founder_mirror": "mirror-sync", "gh-pages": "autodeploy", "automation/sync-ops-1": "repo-sync"} {
		effects.approvals == 0 with input as {"effect": {"kind": "commit"}, "branch": branch, "agent": {"plugin": plugin}}
	}
}

test_another_branch_needs_a_person if {
	effects.approvals == 1 with input as {"effect": {"kind": "commit"}, "branch": "main", "agent": {"plugin": "mirror-sync"}}
	effects.approvals == 1 with input as {"effect": {"kind": "commit"}, "branch": "founder_mirror", "agent": {"plugin": "repo-sync"}}
	effects.approvals == 1 with input as {"effect": {"kind": "publication"}, "branch": "site"}
}

test_production_takes_a_second_person if {
	effects.second_person with input as {"effect": {"kind": "commit"}, "repository": {"environment": "production"}}
	effects.second_person with input as {"effect": {"kind": "merge"}, "repository": {"environment": "enterprise"}}
	not effects.second_person with input as {"effect": {"kind": "commit"}, "repository": {"environment": "staging"}}
}

test_what_writes_no_files_is_left_to_autonomy if {
	effects.approvals == 0 with input as {"effect": {"kind": "issue"}}
}

test_a_secret_is_denied if {
	token := concat("", ["ghp_", "x9Qm2Lr7Vt4Bw8Kz1Nc5", "Hd3Jf6Gp0Ys2Aa4E"])
	count(secrets.deny) > 0 with input as {"files": [{"path": "a.txt", "added": [{"line": 1, "text": token}]}], "commit": {"message": "m"}}
}
