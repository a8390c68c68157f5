package config_test

import data.config
import data.config.credentials

test_what_the_file_grants_needs_nobody if {
	config.approvals == 0 with input as {"kind": "changed", "gains": ["http GET https://a.example/", "repos here: commit on main"], "repositories": {"here": {"environment": "development"}}}
	config.approvals == 0 with input as {"kind": "added", "gains": ["plugin imports wasi:http/outgoing-handler@0.2.6"]}
	config.approvals == 0 with input as {"kind": "changed", "gains": []}
}

test_a_component_that_asks_for_more_needs_a_person if {
	config.approvals == 1 with input as {"kind": "changed", "gains": ["plugin imports wasi:http/outgoing-handler@0.2.6"]}
	config.approvals == 1 with input as {"kind": "changed", "gains": ["plugin wants http \"https://a.example/\""]}
}

test_writing_to_what_others_depend_on_needs_a_person if {
	every environment in ["production", "enterprise"] {
		config.approvals == 1 with input as {"kind": "added", "gains": ["repos shop: merge on main"], "repositories": {"shop": {"environment": environment}}}
	}
	config.approvals == 0 with input as {"kind": "added", "gains": ["repos shop: read"], "repositories": {"shop": {"environment": "production"}}}
	config.approvals == 0 with input as {"kind": "added", "gains": ["repos shop-dev: merge on main"], "repositories": {"shop": {"environment": "production"}}}
}

test_a_credential_does_not_travel_in_the_clear if {
	count(credentials.deny) == 1 with input as {"gains": ["http http://a.example/: header authorization from TOKEN"]}
	count(credentials.deny) == 1 with input as {"gains": ["http http://127.0.0.1.example/: header authorization from TOKEN"]}
	every gain in ["http https://a.example/: header authorization from TOKEN", "http http://127.0.0.1:9/: header x-key from TOKEN", "http GET http://a.example/"] {
		count(credentials.deny) == 0 with input as {"gains": [gain]}
	}
}
