# Lines that are secrets and lines that are none. The secrets are made up and
# written in pieces, so that a scan of this file finds nothing.
package github.commit.secrets_test

import data.github.commit.secrets

commit(path, texts) := {
	"repository": {"name": "shop"},
	"commit": {"id": "0", "message": "Change", "author": {"name": "Ada", "email": "ada@example.com"}},
	"files": [{
		"path": path, "change": "modified", "binary": false,
		"added": [{"line": number + 1, "text": text} | some number, text in texts],
	}],
}

denied(path, texts) := {[violation.msg, violation.path, violation.line] |
	some violation in secrets.deny with input as commit(path, texts)
}

warned(path, texts) := {[violation.msg, violation.path, violation.line] |
	some violation in secrets.warn with input as commit(path, texts)
}

message(what) := concat("", ["Commit contains potential secret: ", what])

test_denies_each_line_once_among_others if {
	some [path, what, parts] in positives
	path == "src/const.rs"
	lines := ["fn main() {", concat("", parts), "}", concat("", parts)]
	denied(path, lines) == {[message(what), path, 2], [message(what), path, 4]}
}

test_denies_in_each_file_of_a_commit if {
	line := {"line": 9, "text": concat("", ["pass", "word = ", "Qz7Vk2Lm9w"])}
	files := [{"path": path, "change": "added", "binary": false, "added": [line]} | some path in ["a.env", "b.env", "c.rs"]]
	found := {violation.path | some violation in secrets.deny with input as {"files": files}}
	found == {"a.env", "b.env"}
}

test_never_shows_the_value if {
	shown := [piece |
		some [path, _, parts] in positives
		violations := secrets.deny with input as commit(path, [concat("", parts)])
		text := json.marshal(violations)
		some piece in parts
		count(piece) >= 10
		contains(text, piece)
	]
	print("shown:", shown)
	count(shown) == 0
}

test_allows_paths_of_the_list if {
	line := concat("", ["pass", "word = ", "Qz7Vk2Lm9w"])
	count(denied("tests/fixtures/deep/a.env", [line])) == 0 with data.github.secrets.allow as ["tests/fixtures/**"]
	count(denied("src/a.env", [line])) == 1 with data.github.secrets.allow as ["tests/fixtures/**"]
}

test_allows_a_commit_without_files if {
	count(secrets.deny) == 0 with input as {"commit": {"id": "0"}}
	count(secrets.warn) == 0 with input as {"commit": {"id": "0"}}
}

test_warns_of_a_wordy_literal_once_for_each_file_and_word if {
	line := concat("", ["pass", `word = "swordfish"`])
	warned("a.py", ["x = 1", line, line]) == {[concat("", ["Commit gives a literal to the sensitive word: ", "password"]), "a.py", 2]}
}

test_does_not_warn_of_what_is_denied_or_harmless if {
	every text in [
		concat("", ["pass", `word = "`, "Qz7Vk2Lm9w", `"`]),
		`token = "string"`,
		`secret = "github-webhook"`,
		`password = "<password>"`,
		"token: String,",
		"the password is secret",
	] {
		count(warned("a.py", [text])) == 0
	}
}

# Each line is judged alone, and the tests name those that go wrong.
test_denies_every_secret if {
	missed := [[path, text, found] |
		some [path, what, parts] in positives
		text := concat("", parts)
		found := denied(path, [text])
		found != {[message(what), path, 1]}
	]
	print("missed:", missed)
	count(missed) == 0
	count(positives) >= 60
}

test_allows_everything_else if {
	wrong := [[path, text, found] |
		some [path, parts] in negatives
		text := concat("", parts)
		found := denied(path, [text])
		count(found) > 0
	]
	print("wrong:", wrong)
	count(wrong) == 0
	count(negatives) >= 60
}

# Path, what is found, and the line in pieces.
positives := [
	["src/main.rs", "GitHub token", [`let t = "`, "ghp_", "u8jzPde0IgxLd6GncfBAepfJBd0Kh8oOOL8d", `";`]],
	["deploy/run.sh", "GitHub token", ["export GH=", "gho_", "KLzdocJ2isAjIhKtJ0RlgLKOmxgJTeKdNnFR"]],
	[".env", "GitHub token", ["GH=", "ghs_", "IBXuDL7DxtpYlSXpfKtHF4vUCsMehGAkWvj7"]],
	["README.md", "GitHub token", ["Use `", "ghu_", "FAc9QeWJKY40uvSwMFLZDe1f8rESQedUStPK", "` to log in"]],
	["a.py", "GitHub token", ["# ", "ghr_", "R0CsTy4Qwb8DwkNhFdnXsiVpzz63FfkCzJr4i0B3"]],
	["ci.yml", "GitHub token", ["  gh: ", "github_pat_", "JrTAwR4y9ojfljoQoaF1Ll", "_", "qsajAIxNKu8iS2G8NPRVdD53X83RZJzzzzgEOzdmenCkhvMdgaKjIg8xNbe"]],
	[".gitlab-ci.yml", "GitLab token", ["  x: ", "glpat-", "3nNyjOq9wMxEhh2FDEEt"]],
	["main.tf", "AWS access key", [`  id = "`, "AKIA", "FJGVQ4K7BN7XJ8B7", `"`]],
	["notes.txt", "AWS access key", ["temporary: ", "ASIA", "TFQ7XKWO886VOMPZ"]],
	[".aws/credentials", "access_key", ["aws_secret_acc", "ess_key = ", "VZomHFwUbbYrEqmSM9wCZ7Uw9+xfogoEmvnEN5N1"]],
	["main.tf", "secret_key", ["  sec", `ret_key = "`, "a9SkpXz9w3QlY7Zkuvqdt7s8Stqcbnr3yBdGBLEP", `"`]],
	["bot.js", "Slack token", [`const s = "`, "xoxb-", "486205798682", "-", "IjHGb3CXlMaXZjljENUhJduR", `";`]],
	["bot.rb", "Slack token", [`s = "`, "xoxp-", "878017598983", "-", "8ef786e4d3cea27d26934b484e73cf57", `"`]],
	["app.toml", "Slack token", [`s = "`, "xapp-", "1-", "K16ZV0MWUFX", "-", "0aee0ca923732881584d8c4fa2815d2802827283", `"`]],
	["alert.yaml", "Slack webhook", ["url: https://hooks.sl", "ack.com/services/", "T3AV90RIC", "/B7PHKQDLM", "/", "7tOtHWnsCGRlrwZbqcabUGJm"]],
	["alert.go", "Discord webhook", [`u := "https://dis`, "cord.com/api/web", "hooks/", "020146201684934072", "/", "uI5aHUQPFeNBTxaQWk8JzFalHlsZfYcMMDktXP-tKsf2rcDkdfrUnW5gcF_Ha6ili8Gj", `"`]],
	["alert.py", "Discord webhook", [`u = "https://canary.dis`, "cordapp.com/api/web", "hooks/", "433377617409319254", "/", "Mrb9h_ImB_LK777pzNk8cL6j5IXAAjlsHUqJoUD-_Ydua_5ZMs1SWOpQaPRYpzbLGViY", `"`]],
	["web/index.html", "Google API key", [`<script src="https://maps.googleapis.com/maps/api/js?key=`, "AIza", "y3Lex7BWr2drgd1QsO7jprBGumXxY9B4bZW", `"></script>`]],
	["oauth.json", "Google token", [`"x": "`, "GOCSPX-", "Oz648JJnUfd7UACNWiP3sFd67Jik", `"`]],
	["oauth.txt", "Google token", ["", "ya29.", "81RKMGHZEM9YpvujA-C5Q52ryFlwRlOEVHzc0X0AWIRh-JUqBlIFXZ53Ncqe"]],
	["pay.php", "Stripe key", [`$s = "`, "sk_live_", "BTW5ZE9LFaez7770H2DCpYgo", `";`]],
	["pay.ts", "Stripe key", [`const s = "`, "rk_live_", "jjHRg80USP2W5DfJXcaYioK6", `";`]],
	["pay.env", "webhook signing secret", ["STRIPE_HOOK=", "whsec_", "cPTt9iOqHOBSWhgetH8LmyqoYMaaItDr"]],
	["id_rsa", "private key", ["-----BEGIN RSA PRIV", "ATE KEY-----"]],
	["key.txt", "private key", ["-----BEGIN PRIV", "ATE KEY-----"]],
	["src/tls.rs", "private key", [`const PEM: &str = "-----BEGIN EC PRIV`, `ATE KEY-----";`]],
	["gpg.asc", "private key", ["-----BEGIN PGP PRIV", "ATE KEY BLOCK-----"]],
	["host", "private key", ["-----BEGIN OPENSSH PRIV", "ATE KEY-----"]],
	["login.ppk", "private key", ["PuTTY-User-Key-", "File-3: ssh-ed25519"]],
	["http.md", "JSON web token", [`curl -H "X: `, "eyJ", "9uP14pEHpJpb9ATPtdbmF4RPAfqoQB", ".", "eyJ", "7xoFcSvTAxRzmaZsV2GenFmtX0moDoqW4sg8NFNl", ".", "5oFA6Qd8Mj7zdnbMjAdTdlzC5T4uUhf7kvmlP7HVDct", `"`]],
	["plugins.toml", "Infinity key", [`x = "`, "inf_", "QUy1xvCk", "_", "gafrfwA94hJ9WnywX0t0ZBfdTEmxI6Cm", `"`]],
	["ops.sh", "Infinity key", [`curl -H "X-Api: `, "inf_", "abf0d7c1c1e2", "_", "Z6dqmVe5Mvxrv99NcqVTSu7rtaUWM6ZO88eb0ogET9D", `"`]],
	[".npmrc", "npm token", ["//registry/:_auth", "Tok", "en=", "npm_", "9XyYq6B0Fi7FlaZ7Vt0SXjMpu3uDxYYMfGmz"]],
	[".pypirc", "PyPI token", ["  x = ", "pypi-AgEIcHlwaS5v", "cmc", "uF0ie9Pu2njHkAm1-5wDr16EpLLJIVGHz4FxFEtKyPiYGFDm7ena8D5VfLDp"]],
	["release.sh", "Cargo registry token", ["cargo login ", "cio", "dmM0Lm7exG3lCMqXXQ8agOMTNwncxvjc"]],
	["mail.py", "SendGrid key", [`k = "`, "SG.", "nqcMUP6n0a0uARxlNtencY", ".", "FJEeAgYzQJjOIfPkzSrAsQtA9dtVK4wAAb3XZxPmzUz", `"`]],
	["llm.py", "model provider key", [`k = "`, "sk-", "n8aB5kBh0fzK4xDXkiadJjPZ6zfKN7xVGkjwskHk7egyFWZY", `"`]],
	["llm.ts", "model provider key", [`const k = "`, "sk-proj-", "9Zmti18c6EudM7Oyf5TNS05kOY2oNzN2m1ElKncz8Hkywhjp", `"`]],
	["llm.yaml", "model provider key", ["k: ", "sk-ant-", "api03-", "U05mc4J1WRcQ1uhyMDJ2OXtPAtLpByQxCGClbaNFDpCWNX0D1lZEzgeiwBxf"]],
	["train.py", "Hugging Face token", [`login("`, "hf_", "ZCGGQccOifUuXUGfdWGyPYibeNUShmiFsZ", `")`]],
	["do.tf", "DigitalOcean token", [`t = "`, "dop_v1_", "572b85a8e48f687ab165c58ac5831be38cb8cb4ba2e751989a01749ddb14f710", `"`]],
	["tg.py", "Telegram bot token", [`BOT = "`, "0095418583", ":AA", "ALtLinxN1Ekia7ZpTjCgeOj3QYrzZq9ad", `"`]],
	["az.config", "Azure account key", [`conn = "DefaultEndpointsProtocol=https;AccountName=shop;Account`, "Key=", "P0J5wMPLCM7HUFpk5acdIbzlpkd6XgaNJQ8mjAmHMPGPPA0NlGtetOd4UYETIay2BV6DfVPClogqoPchv5V7S8", `=="`]],
	["vault.hcl", "Vault token", [`x = "`, "hvs.", "2qTdrOJRBRY6HqsP795nf4Ga", `"`]],
	["docker.sh", "Docker token", ["docker login -u me -p ", "dckr_pat_", "kq5p1Vm8kV6um4yvMpy62O6SQ1I"]],
	["shop.rb", "Shopify token", [`x = "`, "shpat_", "ff00d796c25410335b400141212b62c3", `"`]],
	["age.txt", "age key", ["", "AGE-SECRET-KEY-1", "PNNHCCFS4GIGNSUV1QBWQSDXU64SB0B17GW4D8NFSK1A7MSDAW5G5L5W6Q"]],
	["settings.py", "password", ["DB_PASS", `WORD = "`, "Qz7Vk2Lm9w", `"`]],
	["src/config.rs", "password", ["    pass", `word: "`, "Tr0ub4dor-and-9", `".into(),`]],
	["src/const.rs", "token", ["const API_TOK", `EN: &str = "`, "K8ks0n8SoFkh8OXfFYSJYgOu", `";`]],
	["app.ts", "token", ["const accessTok", `en: string = "`, "wgz7z54VfB4PbxntqB5IGky4", `";`]],
	["app.js", "apikey", ["  api", "Key: '", "Oo8DiIMWSWMPcwLuHj31", "',"]],
	["app.json", "api_key", [`  "api`, `_key": "`, "ea5ee874ae7689447ab57a683536c449", `",`]],
	["values.yaml", "password", ["  admin-pass", "word: ", "hunter2hunter2"]],
	["values.yml", "secret", ["client_sec", "ret: ", "UtBrmgO6grn4yDcaz2YBSoGOsDbjqMVz"]],
	[".env", "password", ["POSTGRES_PASS", "WORD=", "s3cretKitten"]],
	["app.properties", "password", ["spring.datasource.pass", "word=", "Winter2024!x"]],
	["web.xml", "password", ["<pass", "word>", "Vb8kLm2Qx", "</pass", "word>"]],
	["Dockerfile", "token", ["ENV NPM_TOK", "EN ", "aVp62BSKLVPA2oQUP44XPSL2oRlPhD"]],
	[".netrc", "password", ["machine git.internal login bot pass", "word ", "Kp4mZr8vTq"]],
	["run.sh", "password", ["mysql --pass", "word=", "Zx9Qw3Er7t", " shop"]],
	["run.sh", "token", ["deploy --tok", "en ", "BuqOSg5ApYzTTOkq2BEDbN2AHRQ73l5P"]],
	["compose.yaml", "credentials in a URL", ["url: postgres://app:", "Hy6tGf3d", "@db:5432/shop"]],
	["main.go", "credentials in a URL", [`dsn := "amqp://guest:`, "pL0okMij", `@mq.internal/"`]],
	["cache.rb", "credentials in a URL", [`r = "redis://:`, "mN8bVc5x", `@cache:6379"`]],
	["api.http", "authorization", ["Authori", "zation: Bearer ", "uXay1F6gcqInkTY88mHwg2KDInTEGbOY1xHvAV8D"]],
	["api.js", "authorization", [`headers: { "Authori`, `zation": "Basic `, "nRlzGW7hUNwOdqryzdaeA6AOSRwL", `=" }`]],
	["lib.rs", "private_key", ["let private", `_key = "`, "HnCMZCY7Bvqiy8CsT07Lq8TDIWG2x9aJTFMP9+2kUtMX", `";`]],
	["lib.go", "password", ["var adminPass", `word string = "`, "Gt5Rf4De3w", `"`]],
	["cfg.py", "password", [`config["pass`, `word"] = "`, "mK9!vB2@xQ", `"`]],
	["cfg.rb", "token", [":tok", `en => "`, "df0K5uY8iH1wOLaQan8e", `"`]],
	["secrets.md", "password", ["The pass", "word: `", "J4k!pQz8w", "`"]],
	["escaped.rs", "token", [`let body = "{\"tok`, `en\": \"`, "PsqMgLj2olXCwYjn5zYIkN5SMYfQ", `\"}";`]],
]

# Path and the line.
negatives := [
	["src/lexer.rs", [`let tokenizer = Tokenizer::new("abc12345xyz");`]],
	["src/a.rs", ["token: String,"]],
	["src/a.rs", ["pub token: Option<String>,"]],
	["src/a.rs", ["let token = parser.next_token()?;"]],
	["src/a.rs", ["let token = tokens[index1234];"]],
	["src/a.rs", [`const SECRET_NAME: &str = "github_app_2";`]],
	["src/a.rs", ["fn password(&self) -> &str {"]],
	["src/a.rs", [`let secret = env::var("SECRET_2024")?;`]],
	["src/a.rs", ["let token: [u8; 32] = random();"]],
	["src/a.rs", ["password: password_hash_v2,"]],
	["src/a.rs", ["if token == Token::Identifier2 {"]],
	["src/a.rs", [`assert_eq!(token.text, "identifier42");`]],
	["src/a.rs", [`let api_key = request.header("x-api-key")?;`]],
	["src/a.rs", ["// the secret is kept in the state folder"]],
	["src/a.rs", ["private_key: PrivateKey<'static>,"]],
	["src/a.rs", [`let masked = "****************";`]],
	["src/a.rs", [`.secret("github-app-key2")`]],
	["a.py", [`token = get_token(user_id, scope="read2write")`]],
	["a.py", [`password = os.environ["DB_PASSWORD_1"]`]],
	["a.py", ["password = getpass.getpass()"]],
	["a.py", [`secret_name = "github"`]],
	["a.py", [`token = "${GITHUB_TOKEN}"`]],
	["a.js", ["const token = process.env.GITHUB_TOKEN2;"]],
	["a.js", [`const secret = await vault.read("kv/app1");`]],
	["a.js", [`password: "<your password 1>",`]],
	["a.ts", ["token: string | undefined;"]],
	["a.ts", ["const apiKey = config.apiKeys[0].value;"]],
	["a.go", ["Token string `json:\"token\"`"]],
	["a.go", [`password := os.Getenv("PASSWORD_1")`]],
	["plugins.toml", [`secret = "github-webhook"`]],
	["plugins.toml", [`token = "${INFINITY_TOKEN}"`]],
	["plugins.toml", [`secrets = ["github-app-key2"]`]],
	["a.yaml", ["token: ${{ secrets.GITHUB_TOKEN }}"]],
	["a.yaml", [`password: "{{ .Values.password1 }}"`]],
	["a.yaml", ["secretName: my-tls-secret-01"]],
	["a.yaml", ["secret: shop-database-v2"]],
	["a.yaml", ["tokenizer: cl100k_base"]],
	["a.yaml", ["max_tokens: 100000000"]],
	["a.yaml", ["api_key: changeme123"]],
	["a.yaml", ["password: example-pa55word"]],
	["a.yaml", ["token: $TOKEN_2024"]],
	["a.yaml", ["passwordFile: /run/secrets/db1"]],
	["a.yaml", ["private_key: ./keys/app2.pem"]],
	["a.yaml", ["token: sha256:9f86d081884c7d659a2feaa0c55ad015"]],
	[".env.example", ["API_KEY=your-key-here-123"]],
	[".env.example", ["API_KEY=xxxxxxxxxxxx1"]],
	[".env.example", ["TOKEN="]],
	["README.md", ["The token is stored as SHA-256, compared in constant time."]],
	["README.md", ["password: a text of at least 12 characters"]],
	["README.md", ["Set `token = \"…\"` in the file."]],
	["README.md", ["`secret = \"...\"` or `token: <id>`"]],
	["README.md", ["keys look like `inf_<id>_<secret>`, tokens like `ghp_…`"]],
	["README.md", ["clone https://user:password@host/repo or https://${USER}:${PASS1234}@host/"]],
	["README.md", ["see https://example.com/oauth2/token?state=1 and git@github.com:a/b.git"]],
	["README.md", ["begins with `-----BEGIN PRIV", "ATE KEY-----`."]],
	["a.yaml", [`x: "-----BEGIN RSA PRIV`, `ATE KEY-----..."`]],
	["a.rs", [`Password => "sha256_password",`]],
	["a.rs", [`let secret = b"\x9b\xbe\x43\x6b";`]],
	["README.md", ["-----BEGIN CERTIFICATE-----"]],
	["README.md", ["-----BEGIN PUBLIC KEY-----"]],
	["README.md", ["AKIA is how such a key begins, ghp_ how another does"]],
	["README.md", ["gh", "p_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"]],
	["README.md", ["AK", "IAIOSFODNN7EXAMPLE"]],
	["Cargo.lock", [`checksum = "0c3b7a9f2e4d6c8b1a5f7e9d3c2b4a6f8e0d1c3b5a7f9e2d4c6b8a0f1e3d5c7b"`]],
	["a.wit", ["/// The token of the page, at most 40 characters."]],
	["a.rego", [`deny contains "no token" if not input.token`]],
	["a.html", [`<input type="password" name="password" placeholder="at least 12">`]],
	["a.html", [`<label for="password">Password</label>`]],
	["a.css", [".token-string1 { color: #9a6e3a; }"]],
	["a.sql", ["SELECT token FROM keys WHERE token = $1"]],
	["Dockerfile", ["ENV NPM_TOKEN $NPM_TOKEN_2024"]],
	["run.sh", [`curl -H "Authorization: Bearer $TOKEN_2024" https://api.internal/`]],
	["run.sh", ["PASSWORD=$(openssl rand -base64 24)"]],
	["run.sh", [`deploy --token "$DEPLOY_TOKEN_1" --password-stdin`]],
	["src/a.rs", [`let jwt = "eyJ.eyJ.sig";`]],
	["src/a.rs", [`let id = "task-sk-0123456789";`]],
	["src/a.rs", ["inf_loop_counter_with_a_long_name_that_goes_on();"]],
	["src/a.rs", ["struct Secret<T>(T); // token = opaque value of 16 bytes"]],
	["a.yaml", ["  tok", `en: "Vb8kLm2QxVb8" # infinity:allow-secret`]],
]
