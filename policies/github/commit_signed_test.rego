package github.commit.signed_test

import data.github.commit.signed

message := "All commits must be GPG signed"

test_denies_an_unverified_commit if {
	signed.deny == {message} with input as {"commit": {"verification": {"verified": false}}}
}

test_denies_when_verification_is_missing if {
	signed.deny == {message} with input as {"commit": {"id": "0"}}
}

test_denies_when_there_is_no_commit if {
	signed.deny == {message} with input as {}
}

test_denies_what_only_looks_verified if {
	every value in ["true", 1, null, "valid"] {
		signed.deny == {message} with input as {"commit": {"verification": {"verified": value}}}
	}
}

test_allows_a_verified_commit if {
	count(signed.deny) == 0 with input as {"commit": {"verification": {"verified": true}}}
}
