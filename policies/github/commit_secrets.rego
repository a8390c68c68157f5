# Commits must not add secrets.
#
# Denied are lines that hold a token of a known make, or that give a literal
# value with enough variety to a name that ends in a sensitive word. Names,
# placeholders, look-ups and code are not values. What remains of the plain word
# list is a review hint, as a warning.
#
# Two ways to say that a find is none: a path pattern in
# `data.github.secrets.allow`, or the marker `infinity:allow-secret` on the line.
#
# The work is done in three steps, each on what the one before left: one pattern
# over all added text, then each pattern once over the lines that it found, then
# a closer look at single values.
package github.commit.secrets

deny contains violation if {
	found := finds
	count(found) > 0
	some file in input.files
	some added in file.added
	some [what, scope] in found[added.text]
	in_scope(scope, file.path)
	not allowed_path(file.path)
	violation := {
		"msg": concat("", ["Commit contains potential secret: ", what]),
		"path": file.path,
		"line": added.line,
		"help": "remove and revoke it; if it is none, mark the line with `infinity:allow-secret`",
	}
}

# One hint for each file and word, at the first such line.
warn contains violation if {
	found := hints
	count(found) > 0
	some file in input.files
	places := [[word, added.line] |
		some added in file.added
		some word in found[added.text]
	]
	some word in {place[0] | some place in places}
	not allowed_path(file.path)
	violation := {
		"msg": concat("", ["Commit gives a literal to the sensitive word: ", word]),
		"path": file.path,
		"line": min([place[1] | some place in places; place[0] == word]),
		"help": "check that it is no secret",
	}
}

# Step 1: the suspicious lines, by one pattern over the text of all files.

words := `(?:password|passwd|passphrase|pwd|api[_-]?key|secret|token|credentials?|(?:access|account|auth|encryption|master|private|secret|shared|signing)[_-]?key)`

# Between a name and its value: the end of a quoted name, a type, and the sign.
assign := `\\?["'\x60]?\]?(?:[ \t\r]*:[ \t\r]*[&A-Za-z_][&A-Za-z_<>\[\]' ]{0,24})?(?:[ \t\r]+string)?[ \t\r]*(?:=>|:=|={1,3}|:)[ \t\r]*`

suspicious := concat("", [
	`(?m)^.*(?:`,
	`(?i:`, words, assign, `[bruf]{0,2}\\?["'\x60]?[^ \t\r"'\x60]{4})`,
	`|(?i:<[a-z_.:-]*`, words, `>|--[a-z-]*`, words, `[ \t\r]|login[ \t\r]+[^ \t\r]+[ \t\r]+password[ \t\r]|ENV[ \t\r]+[A-Za-z0-9_]*`, words, `[ \t\r]|authorization|bearer[ \t\r])`,
	`|[a-z]://[^ \t\r/:@]*:[^ \t\r/@]{8,}@`,
	`|gh[opsur]_|github_pat_|glpat-|A[BCKS][CI]A[0-9A-Z]{16}|xox[abeoprs]-|xapp-|hooks\.slack\.com|/api/webhooks/`,
	`|AIza|ya29\.|GOCSPX-|[rs]k_live_|whsec_|PRIVATE KEY|eyJ|inf_|npm_|pypi-|(?-u:\b)cio|SG\.|(?-u:\b)sk-|(?-u:\b)hf_`,
	`|do[opr]_v1_|:AA|AccountKey=|hvs\.|dckr_pat_|shp[acps]|AGE-SECRET-KEY|PuTTY-User-Key-File`,
	`).*$`,
])

lines contains text if {
	all := concat("\n", [added.text | some file in input.files; some added in file.added])
	some text in regex.find_n(suspicious, all, -1)
	not contains(text, "infinity:allow-secret")
}

# Step 2: tokens of a known make.

makes := [
	["GitHub token", `(?-u:\b)gh[opsur]_[A-Za-z0-9]{36,}`],
	["GitHub token", `(?-u:\b)github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}`],
	["GitLab token", `(?-u:\b)glpat-[0-9A-Za-z_-]{20,}`],
	["AWS access key", `(?-u:\b)A(?:KIA|SIA|BIA|CCA)[0-9A-Z]{16}(?-u:\b)`],
	["Slack token", `(?-u:\b)(?:xox[abeoprs]|xapp)-[0-9A-Za-z-]{10,}`],
	["Slack webhook", `hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_-]{20,}`],
	["Discord webhook", `discord(?:app)?\.com/api/webhooks/[0-9]{15,}/[A-Za-z0-9_-]{30,}`],
	["Google API key", `(?-u:\b)AIza[0-9A-Za-z_-]{35}`],
	["Google token", `(?-u:\b)(?:ya29\.|GOCSPX-)[0-9A-Za-z_-]{20,}`],
	["Stripe key", `(?-u:\b)[rs]k_live_[0-9A-Za-z]{16,}`],
	["webhook signing secret", `(?-u:\b)whsec_[0-9A-Za-z+/=]{24,}`],
	["JSON web token", `(?-u:\b)eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}`],
	["Infinity key", `(?-u:\b)inf_[A-Za-z0-9]{4,}_[A-Za-z0-9-]{16,}`],
	["npm token", `(?-u:\b)npm_[A-Za-z0-9]{36}`],
	["PyPI token", `(?-u:\b)pypi-[A-Za-z0-9_-]{50,}`],
	["Cargo registry token", `(?-u:\b)cio[A-Za-z0-9]{32}(?-u:\b)`],
	["SendGrid key", `(?-u:\b)SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{32,}`],
	["model provider key", `(?-u:\b)sk-(?:proj-|svcacct-|ant-)?[A-Za-z0-9_-]{32,}`],
	["Hugging Face token", `(?-u:\b)hf_[A-Za-z0-9]{34}`],
	["DigitalOcean token", `(?-u:\b)do[opr]_v1_[a-f0-9]{64}`],
	["Telegram bot token", `(?-u:\b)[0-9]{8,10}:AA[A-Za-z0-9_-]{32,}`],
	["Azure account key", `AccountKey=[A-Za-z0-9+/]{64,}`],
	["Vault token", `(?-u:\b)hvs\.[A-Za-z0-9_-]{24,}`],
	["Docker token", `(?-u:\b)dckr_pat_[A-Za-z0-9_-]{20,}`],
	["Shopify token", `(?-u:\b)shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}`],
	["age key", `AGE-SECRET-KEY-1[0-9A-Z]{50,}`],
]

# Whole lines that are a secret whatever else they hold. Where dots or the end
# of a code span follow, somebody writes about such a line.
headers := `-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?:[^.\x60]|$)|PuTTY-User-Key-File-[0-9]:`

# A token anywhere, a value in the files it has a meaning in.
finds[text] contains ["private key", "any"] if {
	count(lines) > 0
	some text in lines_with(headers)
}

finds[text] contains [what, "any"] if {
	some text, makes_found in made
	some what in makes_found
}

finds[text] contains ["credentials in a URL", "any"] if {
	count(lines) > 0
	some text in lines_with(url)
	some match in regex.find_all_string_submatch_n(url, text, -1)
	literal(match[1])
	varied(match[1])
}

finds[text] contains [word, scope] if {
	count(lines) > 0
	some [pattern, scope] in assignments
	some text in lines_with(pattern)
	not made[text]
	some match in regex.find_all_string_submatch_n(pattern, text, -1)
	word := lower(match[1])
	value := match[2]
	literal(value)
	varied(value)
	not names_something(word, value)
}

made[text] contains what if {
	count(lines) > 0
	some [what, pattern] in makes
	some text in lines_with(pattern)
	some value in regex.find_n(pattern, text, -1)
	literal(value)
	manifold(value)
}

lines_with(pattern) := regex.find_n(
	concat("", ["(?m)^.*(?:", pattern, ").*$"]),
	concat("\n", lines),
	-1,
)

url := `[A-Za-z]://[^ \t\r/:@"'<>{}$]*:([^ \t\r/@"'<>{}$]{8,})@[A-Za-z0-9\[]`

# A name, a sign and a value, each as people write it. Without quotes it is a
# value only where code would not be.
assignments := [
	[concat("", [`(?i)(`, words, `)`, assign, `[bruf]{0,2}\\?["'\x60]([^"'\x60 \t\r]{8,})["'\x60]`]), "any"],
	[concat("", [`(?i)<[a-z_.:-]*(`, words, `)>([^< \t\r]{8,})</`]), "any"],
	[concat("", [`(?i)--[a-z-]*(`, words, `)[ \t\r=]+["']?([^ \t\r"'<>\[\]$(){}\x60]{8,})`]), "any"],
	[`(?i)(authorization)["']?[ \t\r]*[:=][ \t\r]*["']?(?:bearer|basic|token)[ \t\r]+([A-Za-z0-9._~+/=-]{16,})`, "any"],
	[`(?i)login[ \t\r]+[^ \t\r]+[ \t\r]+(password)[ \t\r]+([^ \t\r]{8,})`, "text"],
	[concat("", [`(?i)^[ \t\r]*ENV[ \t\r]+[A-Za-z0-9_]*(`, words, `)[ \t\r]+([^ \t\r"'$]{8,})`]), "text"],
	[concat("", [`(?i)(`, words, `)["']?[ \t\r]*(?:=|:)[ \t\r]*([^ \t\r"'\x60,;(){}\[\]<>$|\\]{8,})(?:[ \t\r,;]|$)`]), "text"],
]

in_scope("any", _) if true

in_scope("text", path) if not regex.match(code, path)

code := `\.(?:rs|py|pyi|js|jsx|mjs|cjs|ts|tsx|go|java|kt|kts|c|h|cc|cpp|hpp|cs|rb|php|swift|scala|rego|wit|wat|sql|lua|css|scss|html|svg|lock|proto|zig|ex|exs|hs|ml|dart)$`

# Step 3: values.

# No placeholder, template, look-up, path, file, address or digest.
literal(value) if not regex.match(stand_in, value)

stand_in := concat("|", [
	`(?i)x{4,}|\*{3,}|\.{3,}|…|<|>|\$\{|\$\(|\{\{|\{[A-Za-z0-9_]*\}|%[({]|%s`,
	`example|sample|placeholder|change[_-]?(?:me|this|it)|your[_-]|redacted|dummy|insert[_-]|replace[_-]|not[_-]a[_-]|invalid|wrong|0123456789|1234567890|abcdefgh`,
	`^(?:my|the|some|any|no|test|mock|fake|bad|old|new)[_-]`,
	`^(?:env|process\.env|os\.|std::|vars?\.|secrets\.|github\.|data\.|input\.|self\.|ref\+|vault:|op://|arn:|sha(?:1|256|512)[:-])`,
	`^(?:\.{0,2}/|~/|[a-z]:\\)|^[a-z+]+://|::|->`,
	`\.(?:pem|key|crt|txt|json|ya?ml|toml|env|rs|py|js|ts|rego|md|html|svg|sh)$`,
	`\\x[0-9a-f]{2}\\x|(?:^|[_-])passw(?:or)?d$`,
	`^[A-Za-z0-9_.+-]+@[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.[a-z]{2,}$`,
])

# Letters with digits, or letters of both cases with a strong sign.
varied(value) if {
	regex.match(`[A-Za-z]`, value)
	regex.match(`[0-9]`, value)
	manifold(value)
}

varied(value) if {
	regex.match(`[a-z]`, value)
	regex.match(`[A-Z]`, value)
	regex.match(`[!@#%^*?~]`, value)
	manifold(value)
}

# Enough different characters: a row of the same few is an illustration.
manifold(value) if {
	count({sign | some sign in split(value, "")}) >= least(count(value))
}

least(length) := 8 if length >= 16

least(length) := 5 if length < 16

# Values that are names of something: words with a digit here and there.
names_something(word, value) if {
	not regex.match(`pass|pwd`, word)
	regex.match(`^[A-Za-z]+[0-9]{0,3}[a-z]*[0-9]{0,2}(?:[-_./:][A-Za-z]+[0-9]{0,3}[a-z]*[0-9]{0,2})*$`, value)
}

names_something(word, value) if {
	regex.match(`pass|pwd`, word)
	regex.match(`^[A-Za-z]+[0-9]?(?:[-_./:][A-Za-z]+[0-9]?)+$`, value)
}

names_something(_, value) if regex.match(`^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$`, value)

# A dotted path, unless it looks like a token's three random parts.
names_something(_, value) if {
	regex.match(`^[a-z_][A-Za-z0-9_]*(?:\.[a-z_][A-Za-z0-9_]*)+$`, value)
	count(value) < 40
}

# Allowed places.
allowed_path(path) if {
	some pattern in data.github.secrets.allow
	glob.match(pattern, ["/"], path)
}

# The hint: the plain words with a short or wordy literal in quotes.
hint := `(?i)(?-u:\b)(password|api_key|secret|token|private_key)["'\x60]?[ \t\r]*(?:=|:)[ \t\r]*["'\x60]([^"'\x60 \t\r]{6,})["'\x60]`

hints[text] contains word if {
	count(lines) > 0
	some text in lines_with(hint)
	not finds[text]
	some match in regex.find_all_string_submatch_n(hint, text, -1)
	word := lower(match[1])
	value := match[2]
	literal(value)
	not regex.match(`[-_./:\\]`, value)
	not regex.match(`(?i)^(?:string|number|boolean|object|integer|bearer|basic|required|optional|hidden|default|unknown|missing|github|gitlab)$`, value)
	not contains(lower(value), trim_suffix(word, "_key"))
}
