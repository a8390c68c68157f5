# Generated code is finished code: the automation's commits must not add the
# marker for open work. The marker is put together here so that a search for
# open work does not find this file.
package github.commit.todo

marker := concat("", ["TO", "DO"])

deny contains violation if {
	generated
	some file in input.files
	some added in file.added
	contains(added.text, marker)
	regex.match(concat("", [`\b`, marker, `\b`]), added.text)
	violation := {
		"msg": concat("", ["Generated code cannot contain ", marker, " markers"]),
		"path": file.path,
		"line": added.line,
		"help": "finish the work, or open an issue and name it",
	}
}

generated if contains(lower(input.commit.author.name), "automation-bot")

generated if contains(lower(input.commit.author.email), "automation-bot")
