package config_test

import data.config
import data.config.signed

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

test_what_came_from_a_registry_has_to_be_signed if {
	count(signed.deny) == 1 with input as {"plugin": {"name": "a", "source": "oci:registry.example/a:1@sha256:0"}}
	count(signed.deny) == 1 with input as {"plugin": {"name": "a", "source": "oci:registry.example/a:1@sha256:0", "signed_by": null}}
	count(signed.deny) == 0 with input as {"plugin": {"name": "a", "source": "oci:registry.example/a:1@sha256:0", "signed_by": "alice"}}
	count(signed.deny) == 0 with input as {"plugin": {"name": "a", "source": "file"}}
	count(signed.deny) == 0 with input as {"plugin": {"name": "a", "source": null}}
}
