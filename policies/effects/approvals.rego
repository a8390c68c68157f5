# How many people have to approve, beside what an agent's autonomy and the repository's environment ask for.
#
# A branch under `data.effects.machine_owned` belongs to the plugins named with it: nobody works there, and what lands there can be undone. Everywhere else an effect that writes
# files is held for one person, whatever the agent's autonomy.
package effects

default approvals := 0

approvals := 1 if {
	input.effect.kind in {"commit", "publication"}
	not owned
}

# Whether somebody else than who started the run has to approve: four eyes for what others depend on.
default second_person := false

second_person if input.repository.environment in {"production", "enterprise"}

owned if {
	some branch in data.effects.machine_owned
	glob.match(branch.branch, [], input.branch)
	input.agent.plugin in branch.plugins
}
