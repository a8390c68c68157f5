package github.commit.todo_test

import data.github.commit.todo

marker := concat("", ["TO", "DO"])

commit(name, email, lines) := {
	"repository": {"name": "shop"},
	"commit": {
		"id": "0", "message": "Change",
		"author": {"name": name, "email": email},
		"verification": {"verified": true},
	},
	"files": [{
		"path": "src/main.rs", "change": "modified", "binary": false,
		"added": [{"line": number + 10, "text": text} | some number, text in lines],
	}],
}

denied(name, email, lines) := {[violation.msg, violation.path, violation.line] |
	some violation in todo.deny with input as commit(name, email, lines)
}

message := concat("", ["Generated code cannot contain ", "TO", "DO markers"])

test_denies_the_bot_by_name if {
	lines := ["let x = 1;", concat("", ["// ", marker, ": later"])]
	denied("automation-bot", "a@example.com", lines) == {[message, "src/main.rs", 11]}
}

test_denies_the_bot_by_address if {
	denied("Robot", "automation-bot@example.com", [marker]) == {[message, "src/main.rs", 10]}
}

test_denies_the_bot_as_part_of_a_name if {
	denied("Acme-Automation-Bot[bot]", "a@example.com", [concat("", ["#", marker, "(me)"])]) == {[message, "src/main.rs", 10]}
}

test_reports_every_line if {
	count(denied("automation-bot", "a@example.com", [marker, "", marker])) == 2
}

test_allows_the_bot_without_markers if {
	count(denied("automation-bot", "a@example.com", ["let x = 1;"])) == 0
}

test_allows_longer_words if {
	lines := [concat("", [marker, "S_DONE"]), concat("", ["auto", marker, "list"]), lower(marker)]
	count(denied("automation-bot", "a@example.com", lines)) == 0
}

test_allows_people if {
	count(denied("Ada", "ada@example.com", [marker])) == 0
}

test_allows_a_commit_without_files if {
	count(todo.deny) == 0 with input as object.remove(commit("automation-bot", "a@example.com", []), ["files"])
}
