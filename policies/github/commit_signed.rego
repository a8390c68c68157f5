# Every commit carries a signature that the forge verified. A commit that says
# nothing about it counts as unsigned.
package github.commit.signed

deny contains "All commits must be GPG signed" if not verified

verified if input.commit.verification.verified == true
