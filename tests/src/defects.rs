//! Plants known defects into a copy of a repository, among look-alikes that are none, and says exactly what a validator must report.
//!
//! Deterministic: the same copy gets the same defects. Some defects damage the copy's own files in place (Markdown) or copies of them under
//! `planted/` (JSON, TOML, YAML); the others are new files below `planted/` and `.github/workflows/`. There are always [`DEFECTS`] of them: a
//! page of broken links fills up what a copy with few files lacks. The copy must be clean before. This module does not know the validator.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Error, Result};
use std::path::Path;

/// How many defects [`plant`] plants.
pub const DEFECTS: usize = 100;

/// Bytes of the file that is too large: one more than the default limit of 5 MiB.
const TOO_LARGE_BYTES: usize = 5 * 1024 * 1024 + 1;

/// Own files of the copy that are damaged, of each of the four formats: as many as [`DEFECTS`] leaves room for.
const DAMAGED_PER_FORMAT: usize = 2;

/// Directories of a working copy that are no part of the repository, or broken on purpose.
const SKIPPED: &[&str] = &[
    ".git",
    ".github",
    "config",
    "dist",
    "fixtures",
    "node_modules",
    "planted",
    "target",
    "var",
];

/// SHA-256 of `abc` and of nothing.
const DIGEST_OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const DIGEST_OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// One planted defect: what a validator must report, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Defect {
    /// The rule's stable name.
    pub rule: String,
    /// Relative to the root, with `/`.
    pub path: String,
    /// From 1; nothing where the file as a whole is the defect.
    pub line: Option<u32>,
}

/// The settings under which exactly the planted defects are defects. `root` is the path of the copy as the validator sees it.
#[must_use]
pub fn settings(root: &str, repository: Option<&str>) -> serde_json::Value {
    let mut root = serde_json::json!({ "path": root });
    if let Some(repository) = repository {
        root["repository"] = repository.into();
    }
    serde_json::json!({
        "roots": [root],
        "exclude": ["target/**", "var/**", "tests/config/**", "planted/broken-on-purpose/**", "planted/**/*.template.yaml"],
        "schemas": [
            { "glob": "planted/services/*.{json,yaml,toml}", "schema": "planted/service.schema.json" },
            { "glob": "planted/inline/*.json", "schema": { "type": "array", "items": { "type": "integer" } } }
        ],
        "checksums": ["planted/release/SHA256SUMS"]
    })
}

/// Plants [`DEFECTS`] defects below `root`.
///
/// # Errors
/// What reading and writing files gives, and when more defects than [`DEFECTS`] came about.
pub fn plant(root: &Path) -> Result<Vec<Defect>> {
    let mut planter = Planter {
        root,
        defects: Vec::new(),
    };
    plant_json(&mut planter)?;
    plant_yaml(&mut planter)?;
    plant_toml(&mut planter)?;
    plant_markdown(&mut planter)?;
    plant_workflows(&mut planter)?;
    plant_schemas(&mut planter)?;
    plant_conflicts(&mut planter)?;
    plant_encodings(&mut planter)?;
    plant_sizes_and_checksums(&mut planter)?;
    plant_links(&mut planter)?;
    damage_own_files(&mut planter)?;
    fill_up(&mut planter)?;
    Ok(planter.defects)
}

struct Planter<'a> {
    root: &'a Path,
    defects: Vec<Defect>,
}

impl Planter<'_> {
    fn bytes(&self, path: &str, content: &[u8]) -> Result<()> {
        let file = self.root.join(path);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(file, content)
    }

    fn expect(&mut self, rule: &str, path: &str, line: Option<usize>) {
        self.defects.push(Defect {
            rule: rule.to_owned(),
            path: path.to_owned(),
            line: line.and_then(|line| u32::try_from(line).ok()),
        });
    }

    /// Writes a file. `«rule»` in a line says that the rule must be reported there, and is left out of the file. `{open}`, `{middle}` and
    /// `{close}` are the markers of a merge conflict.
    fn file(&mut self, path: &str, text: &str) -> Result<()> {
        let content = self.expect_marked(path, text);
        self.bytes(path, content.as_bytes())
    }

    fn file_with_crlf(&mut self, path: &str, text: &str) -> Result<()> {
        let content = self.expect_marked(path, text);
        self.bytes(path, content.replace('\n', "\r\n").as_bytes())
    }

    fn expect_marked(&mut self, path: &str, text: &str) -> String {
        let mut content = String::new();
        for (index, line) in text.split_inclusive('\n').enumerate() {
            let mut rest = line;
            while let Some((before, after)) = rest.split_once('«') {
                content.push_str(before);
                let (rule, after) = after.split_once('»').unwrap_or((after, ""));
                self.expect(rule, path, Some(index + 1));
                rest = after;
            }
            content.push_str(rest);
        }
        content
            .replace("{open}", &"<".repeat(7))
            .replace("{middle}", &"=".repeat(7))
            .replace("{close}", &">".repeat(7))
    }
}

fn plant_json(planter: &mut Planter<'_>) -> Result<()> {
    planter.file(
        "planted/json/comma.json",
        "{\n  \"name\": \"große Straße 🦀\",\n  \"list\": [1, 2, 3,]«json/syntax»\n}\n",
    )?;
    planter.file(
        "planted/json/last-comma.json",
        "{\n  \"a\": 1,\n  \"b\": 2,«json/syntax»\n}\n",
    )?;
    planter.file(
        "planted/json/comment.json",
        "{\n  // not in JSON«json/syntax»\n  \"a\": 1\n}\n",
    )?;
    planter.file("planted/json/cut.json", "{\n  \"a\": [1, 2\n«json/syntax»")?;
    planter.file("planted/json/empty.json", "«json/syntax»")?;
    planter.file(
        "planted/json/literal.json",
        "{ \"é\": \"ü\", \"b\": True }«json/syntax»\n",
    )?;
    planter.file_with_crlf(
        "planted/json/deep/er/escape.json",
        "{\n  \"path\": \"C:\\dir\"«json/syntax»\n}\n",
    )?;
    planter.file_with_crlf(
        "planted/json/twice.json",
        "{\n  \"🦀\": 1,\n  \"b\": {\n    \"x\": 1,\n    \"y\": 2, \"x\": 3«json/duplicate-key»\n  },\n  \"🦀\": 2«json/duplicate-key»\n}\n",
    )?;
    planter.file(
        "planted/json/escaped.json",
        "{\"key\": 1,\n \"k\\u0065y\": 2«json/duplicate-key»}\n",
    )?;
    planter.file(
        "planted/json/minified.json",
        "{\"ä\":\"{\\\"q\\\":1,\\\"q\\\":2}\",\"list\":[{\"k\":1},{\"k\":2,\"k\":3}]}«json/duplicate-key»",
    )?;
    let mut long = String::from("{\n");
    for index in 0..3_000 {
        long.push_str(&format!("  \"key-{index}\": {{ \"value\": {index} }},\n"));
    }
    long.push_str("  \"key-1234\": null«json/duplicate-key»\n}\n");
    planter.file("planted/json/long.json", &long)?;
    planter.file(
        "planted/json/nested.json",
        &format!(
            "{}«json/too-deep»{}\n",
            "[".repeat(2_000),
            "]".repeat(2_000)
        ),
    )?;
    // Look-alikes.
    planter.file(
        "planted/json/fine.json",
        "{\"a\": {\"a\": [{\"a\": 1}, {\"a\": 1}]}, \"A\": -0.0e-1, \"\": \"\\\"a\\\": 1, \\\"a\\\": 2\", \" a\": [], \"👍🏽\": \"\\ud83d\\ude00\"}\n",
    )?;
    planter.file("planted/json/scalar.json", "  12\n")?;
    planter.file(
        "planted/web/tsconfig.json",
        "{\n  // comments and a last comma are allowed here\n  \"compilerOptions\": { \"strict\": true, },\n}\n",
    )?;
    planter.file("planted/.vscode/settings.json", "// settings\n{}\n")?;
    planter.file("planted/json/commented.jsonc", "// fine\n{ \"a\": 1, }\n")?;
    planter.file("planted/json/stream.jsonl", "{\"a\": 1}\n{\"a\": 2}\n")?;
    planter.file("planted/broken-on-purpose/bad.json", "{{{\n")
}

fn plant_yaml(planter: &mut Planter<'_>) -> Result<()> {
    planter.file(
        "planted/yaml/indent.yaml",
        "a:\n  b: 1\n c: 2«yaml/syntax»\n",
    )?;
    planter.file(
        "planted/yaml/colon.yaml",
        "title: Größe: unknown«yaml/syntax»\n",
    )?;
    planter.file(
        "planted/yaml/alias.yaml",
        "base: &base\n  a: 1\nuse: *bsae«yaml/syntax»\n",
    )?;
    planter.file_with_crlf(
        "planted/yaml/flow.yaml",
        "ok: [1, 2]\nbroken: {a: 1, b: 2]«yaml/syntax»\n",
    )?;
    planter.file(
        "planted/yaml/twice.yaml",
        "on: push\nservices:\n  wébsite:\n    port: 1\n  api:\n    port: 2\n    port: 3«yaml/duplicate-key»\n  wébsite: {}«yaml/duplicate-key»\n",
    )?;
    planter.file(
        "planted/yaml/documents.yaml",
        "a: 1\n---\na: 1\n---\nb: 1\n\"b\": 2«yaml/duplicate-key»\n",
    )?;
    planter.file_with_crlf(
        "planted/yaml/list.yml",
        "- name: one\n  run: |\n    a: 1\n    a: 2\n- name: two\n  'name': three«yaml/duplicate-key»\n",
    )?;
    planter.file(
        "planted/yaml/flow-twice.yaml",
        "point: {x: 1, y: 2, \"x\": 3}«yaml/duplicate-key»\n",
    )?;
    // Look-alikes.
    planter.file(
        "planted/yaml/fine.yaml",
        "%YAML 1.2\n---\n# a: 1\na: &a {a: {a: 1}}\n\"1\": x\n1: y\nb:\n  <<: *a\n  a: 2\nc: >-\n  a: 1\n  a: 1\nd: \"a: 1, a: 2\"\ne: ['a', \"a\", a]\nurl: http://example.org/a:b\n...\n---\na: 2\n",
    )?;
    planter.file("planted/yaml/empty.yaml", "# nothing yet\n")?;
    planter.file(
        "planted/yaml/chart.template.yaml",
        "{{- if .Values.on }}\na: {{ .Values.a }}\n{{- end }}\n",
    )
}

fn plant_toml(planter: &mut Planter<'_>) -> Result<()> {
    planter.file("planted/toml/bare.toml", "name = planted«toml/syntax»\n")?;
    planter.file(
        "planted/toml/string.toml",
        "# Straße 🦀\n[a]\nok = \"ü\"\nbad = \"never ends«toml/syntax»\nnext = 1\n",
    )?;
    planter.file_with_crlf(
        "planted/toml/date.toml",
        "a = 1\nb = 2026-13-45«toml/syntax»\n",
    )?;
    planter.file(
        "planted/toml/twice.toml",
        "[package]\nname = \"é\"\nversion = \"1\"\n\"name\" = \"b\"«toml/duplicate-key»\n",
    )?;
    planter.file_with_crlf(
        "planted/toml/tables.toml",
        "[a]\nx = 1\n[b]\nx = 1\n[a]«toml/duplicate-key»\ny = 1\n",
    )?;
    planter.file(
        "planted/toml/inline.toml",
        "point = { x = 1, y = 2, x = 3 }«toml/duplicate-key»\n",
    )?;
    // Look-alikes.
    planter.file(
        "planted/toml/fine.toml",
        "a.b = 1\na.c = 2\ntext = '''\na = 1\na = 2\n'''\n[[list]]\na = 1\n[[list]]\na = 1\n[\"a b\"]\n[\"a.b\"]\n[x.y]\n[x]\nz = 1979-05-27T07:32:00Z\n",
    )
}

fn plant_markdown(planter: &mut Planter<'_>) -> Result<()> {
    planter.file(
        "planted/docs/guide.md",
        "# Guide to Größe & Co.\n\n\
         Go to [part two](#part-two), [gone](#part-three)«markdown/broken-anchor» or [the café](no-café.md)«markdown/broken-link».\n\n\
         ## Part two\n\n\
         - 🦀🦀 [list](../docs/missing/page.md#x)«markdown/broken-link»\n\
         - ![picture](images/none.png \"title\")«markdown/broken-link»\n\n\
         | table | link |\n|---|---|\n| a | [cell](cell.md)«markdown/broken-link» |\n\n\
         > quoted [anchor](other.md#nowhere)«markdown/broken-anchor»\n\n\
         [by reference][ref] and [again][ref]\n\n\
         [ref]: reference.md«markdown/broken-link»\n",
    )?;
    planter.file(
        "planted/docs/other.md",
        "Other\n=======\n\n## What's `new` in v1.2?\n\n## Dup\n\n## Dup\n\n## Überblick: *alles*\n\n<a name=\"Mark\"></a>\n\n\
         ### <img src=\"pixel.svg\"> Icon\n\n<h2 align=\"center\">In\nHTML</h2>\n",
    )?;
    planter.file(
        "planted/docs/pixel.svg",
        "<svg xmlns=\"http://www.w3.org/2000/svg\"/>\n",
    )?;
    planter.file_with_crlf(
        "planted/docs/deep/er/crlf.md",
        "# Title\n\n[up](../../other.md) [too far up the tree](../../../../../x.md)\n\n[case](../../Other.md)«markdown/broken-link»\n\n\
         [anchor](../../other.md#dup-2)«markdown/broken-anchor»\n",
    )?;
    planter.file(
        "planted/docs/anchors.md",
        "# Anchors\n\n\
         [1](other.md#whats-new-in-v1-2)«markdown/broken-anchor»\n\
         [2](other.md#dup)\n\
         [3](other.md#mark)«markdown/broken-anchor»\n\
         [4](./other.md#ueberblick-alles)«markdown/broken-anchor»\n\
         [5](/planted/docs/other.md#set)«markdown/broken-anchor»\n\
         ![6](/planted/docs/none.svg)«markdown/broken-link» [7](other.md/)«markdown/broken-link»\n\
         <img alt=\"8\" src=\"eight.png\">«markdown/broken-link»\n\n\
         <p>\n  <a«markdown/broken-link»\n    class=\"x\" href='nine.md'>nine</a>\n</p>\n",
    )?;
    planter.file(
        "planted/docs/read me (1).md",
        "# Spaces\n\n[a](<read me (1).md#spaces>) [b](read%20me%20%281%29.md) [c](read%20me.md)«markdown/broken-link»\n",
    )?;
    // Look-alikes.
    planter.file(
        "planted/docs/fine.md",
        "---\ntitle: \"[not a link](front-matter.md)\"\n---\n\n# Fine\n\nHeading\n=======\n\n\
         [1](other.md#whats-new-in-v12) [2](other.md#dup-1) [3](other.md#überblick-alles) [4](other.md#%C3%BCberblick-alles)\n\
         [5](other.md?raw=1#frag) [6](other.md#Mark) [7](other.md#L10-L20) [8](other.md#other) [9](#heading) [10](#) [11](#top)\n\
         [12](https://example.org/none.md#x) [13](mailto:a@example.org) [14](//example.org/x) <https://example.org/y>\n\
         [15](../docs/) [16](..) [17](/planted/docs/other.md) [18](../../../outside.md) [19](other.md#-icon)\n\
         `[20](code.md)` \\[21](escaped.md) [22] [x]: [23][] <!-- [24](comment.md) -->\n\n\
         ```markdown\n[25](fenced.md)\n{open} HEAD\na\n{middle}\nb\n{close} documented\n```\n\n\
         \u{20}   [26](indented.md)\n\n\
         <!--\n[27](hidden.md)\n<a href=\"hidden.html\">\n-->\n\n\
         [28]({{ site.url }}/x.md) [29](other.md#user-content-dup) ![30](data:image/png;base64,AAAA)\n",
    )?;
    planter.file(
        "planted/.github/ISSUE_TEMPLATE/bug.md",
        "See [the list](../issues) first.\n",
    )
}

fn plant_workflows(planter: &mut Planter<'_>) -> Result<()> {
    planter.file(
        ".github/workflows/planted-missing-on.yml",
        "name: Größe«workflow/missing-on»\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: make\n",
    )?;
    planter.file(
        ".github/workflows/planted-missing-jobs.yaml",
        "# no jobs\non: push«workflow/missing-jobs»\n",
    )?;
    planter.file(
        ".github/workflows/planted-jobs.yml",
        "on: [push]\n\
         permision: {}«workflow/unknown-key»\n\
         jobs:\n\
         \u{20} build:\n\
         \u{20}   runs-on: ubuntu-latest\n\
         \u{20}   steps:\n\
         \u{20}     - name: nothing to do«workflow/step-without-action»\n\
         \u{20}     - uses: actions/checkout@v4\n\
         \u{20}       run: make«workflow/step-with-uses-and-run»\n\
         \u{20} nowhere:«workflow/job-without-runner»\n\
         \u{20}   needs: [build, biuld]«workflow/unknown-need»\n\
         \u{20}   steps:\n\
         \u{20}     - run: make\n\
         \u{20} idle:«workflow/job-without-steps»\n\
         \u{20}   needs: nobody«workflow/unknown-need»\n\
         \u{20}   runs-on: ubuntu-latest\n",
    )?;
    planter.file_with_crlf(
        ".github/workflows/planted-list.yml",
        "- on: push«workflow/not-a-mapping»\n- jobs: {}\n",
    )?;
    planter.file(
        ".github/workflows/planted-empty-jobs.yml",
        "on: push\njobs: {}«workflow/missing-jobs»\n",
    )?;
    // Look-alikes.
    planter.file(
        ".github/workflows/planted-fine.yml",
        "name: fine\nrun-name: by ${{ github.actor }}\n'on':\n  workflow_dispatch:\nenv: {A: 1}\ndefaults: {run: {shell: bash}}\nconcurrency: x\npermissions: read-all\n\
         jobs:\n  a:\n    runs-on: ${{ matrix.os }}\n    steps: &steps\n      - run: |\n          uses: nothing\n      - uses: ./action\n        with: {run: x}\n\
         \u{20} b:\n    needs: a\n    runs-on: [self-hosted, linux]\n    steps: *steps\n  c:\n    needs:\n      - a\n      - b\n    uses: ./.github/workflows/x.yml\n",
    )?;
    planter.file("planted/not-a-workflow.yml", "jobs:\n  a: {}\n")
}

fn plant_schemas(planter: &mut Planter<'_>) -> Result<()> {
    planter.file(
        "planted/service.schema.json",
        "{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n  \"type\": \"object\",\n  \"required\": [\"name\"],\n  \"additionalProperties\": false,\n\
         \u{20} \"properties\": {\n    \"name\": { \"type\": \"string\", \"pattern\": \"^[a-zü-]+$\" },\n    \"ports\": { \"type\": \"array\", \"items\": { \"$ref\": \"#/$defs/port\" } },\n    \"owner\": { \"enum\": [\"ops\", \"dev\"] }\n  },\n\
         \u{20} \"$defs\": { \"port\": { \"type\": \"integer\", \"minimum\": 1, \"maximum\": 65535 } }\n}\n",
    )?;
    planter.file(
        "planted/services/a.json",
        "{\n  \"name\": \"größe\",«schema/violation»\n  \"ports\": [\n    80,\n    70000«schema/violation»\n  ]\n}\n",
    )?;
    planter.file(
        "planted/services/b.yaml",
        "name: b\nowner: nobody«schema/violation»\nports:\n  - 80\n  - \"443\"«schema/violation»\n",
    )?;
    planter.file(
        "planted/services/c.toml",
        "name = \"c\"\nports = [\n  8080,\n  0,«schema/violation»\n]\n",
    )?;
    planter.file_with_crlf(
        "planted/services/d.json",
        "{«schema/violation»\n  \"ports\": []\n}\n",
    )?;
    planter.file(
        "planted/services/e.yaml",
        "name: e\nowner: ops\nextra: 1«schema/violation»\n",
    )?;
    planter.file(
        "planted/inline/list.json",
        "[\n  1,\n  \"2\"«schema/violation»\n]\n",
    )?;
    // Look-alikes.
    planter.file(
        "planted/services/fine.yaml",
        "name: fine\nowner: &owner ops\nports: [1, 65535]\n",
    )?;
    planter.file(
        "planted/services/nested/free.json",
        "{\"anything\": true}\n",
    )
}

fn plant_conflicts(planter: &mut Planter<'_>) -> Result<()> {
    planter.file(
        "planted/src/lib.rs",
        "fn größe() {\n{open} HEAD«merge-marker»\n    a();\n{middle}\n    b();\n{close} feature\n}\n\n{open} HEAD«merge-marker»\n{middle}\n{close} 1234abc\n",
    )?;
    planter.file_with_crlf(
        "planted/src/three.py",
        "x = 1\n{open} ours«merge-marker»\ny = 2\n||||||| base\ny = 1\n{middle}\ny = 3\n{close} theirs\n",
    )?;
    planter.file(
        "planted/src/package.json",
        "{\n{open} HEAD«merge-marker»\n  \"a\": 1\n{middle}\n  \"a\": 2\n{close} b\n}\n",
    )?;
    planter.file(
        "planted/docs/conflict.md",
        "# Conflict\n\n{open} HEAD«merge-marker»\nours\n{middle}\ntheirs\n{close} b\n",
    )?;
    // Look-alikes.
    planter.file(
        "planted/src/fine.rst",
        "Title\n{middle}\n\nOther\n{middle}=\n\n    {open} HEAD\n    {middle}\n    {close} b\n",
    )?;
    planter.file(
        "planted/src/quote.txt",
        "{close} quoted mail\n{middle}\n{open} x\n",
    )
}

fn plant_encodings(planter: &mut Planter<'_>) -> Result<()> {
    planter.bytes("planted/text/latin.txt", b"first\nJ\xFCrgen\n")?;
    planter.expect("encoding/invalid-utf8", "planted/text/latin.txt", Some(2));
    planter.bytes("planted/text/AUTHORS", b"Ren\xE9 wrote all of this\n")?;
    planter.expect("encoding/invalid-utf8", "planted/text/AUTHORS", Some(1));
    let wide: Vec<u8> = "{\"a\": 1}"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    planter.bytes(
        "planted/text/wide.json",
        &[&[0xFF, 0xFE], wide.as_slice()].concat(),
    )?;
    planter.expect("encoding/invalid-utf8", "planted/text/wide.json", Some(1));
    planter.bytes("planted/text/bom.json", b"\xEF\xBB\xBF{\"a\": 1}\n")?;
    planter.expect("encoding/bom", "planted/text/bom.json", Some(1));
    planter.bytes("planted/text/bom.toml", b"\xEF\xBB\xBFa = 1\n")?;
    planter.expect("encoding/bom", "planted/text/bom.toml", Some(1));
    planter.bytes("planted/text/nul.rs", "// ü\nlet a = \"\0\";\n".as_bytes())?;
    planter.expect("encoding/nul", "planted/text/nul.rs", Some(2));
    planter.bytes("planted/text/nul.yaml", b"a: 1\nb: 2\n\0\0\n")?;
    planter.expect("encoding/nul", "planted/text/nul.yaml", Some(3));
    planter.bytes("planted/text/mixed.txt", b"a\r\nb\r\nc\nd\r\n")?;
    planter.expect(
        "encoding/mixed-line-endings",
        "planted/text/mixed.txt",
        Some(3),
    );
    // Look-alikes.
    planter.bytes(
        "planted/text/emoji.txt",
        "👩‍👩‍👧 «quoted» \u{2028} \u{FFFD} ü\n".as_bytes(),
    )?;
    planter.bytes("planted/text/crlf.txt", b"a\r\nb\r\n")?;
    planter.bytes("planted/text/empty.txt", b"")?;
    planter.bytes("planted/text/image.png", b"\x89PNG\r\n\x1a\n\0\0\xFF")?;
    planter.bytes("planted/text/blob", &[0, 159, 146, 150, 0, 1, 2])?;
    planter.bytes("planted/text/change.patch", b"+a\r\n b\n")
}

fn plant_sizes_and_checksums(planter: &mut Planter<'_>) -> Result<()> {
    let line = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n";
    let mut large = line.repeat(TOO_LARGE_BYTES / line.len() + 1);
    large.truncate(TOO_LARGE_BYTES);
    planter.bytes("planted/large/dump.log", large.as_bytes())?;
    planter.expect("size/too-large", "planted/large/dump.log", None);
    large.truncate(TOO_LARGE_BYTES - 1);
    planter.bytes("planted/large/fits.log", large.as_bytes())?;

    planter.bytes("planted/release/abc.txt", b"abc")?;
    planter.bytes("planted/release/bin/empty", b"")?;
    planter.bytes("planted/release/changed.txt", b"abd")?;
    planter.bytes("planted/release/bin/changed.bin", b"\0changed")?;
    planter.file(
        "planted/release/SHA256SUMS",
        &format!(
            "{DIGEST_OF_ABC}  abc.txt\n{DIGEST_OF_NOTHING} *bin/empty\n\
             {DIGEST_OF_ABC}  changed.txt«checksum/mismatch»\n{}  ./abc.txt\n\
             {DIGEST_OF_NOTHING} *bin/changed.bin«checksum/mismatch»\n\
             {DIGEST_OF_ABC}  gone.txt«checksum/missing»\n\
             SHA256 (bin/gone.bin) = {DIGEST_OF_ABC}«checksum/missing»\n\
             abc.txt {DIGEST_OF_ABC}«checksum/syntax»\n",
            DIGEST_OF_ABC.to_uppercase()
        ),
    )
}

#[cfg(unix)]
fn plant_links(planter: &mut Planter<'_>) -> Result<()> {
    use std::os::unix::fs::symlink;
    let folder = planter.root.join("planted/links");
    fs::create_dir_all(&folder)?;
    for (name, target, rule) in [
        ("gone", "nowhere/at-all.txt", Some("symlink/broken")),
        ("circle", "circle", Some("symlink/broken")),
        ("up", "../../../outside", Some("symlink/leaves-root")),
        ("absolute", "/etc/hostname", Some("symlink/leaves-root")),
        // Look-alikes.
        ("file.md", "../docs/other.md", None),
        ("folder", "../docs", None),
        ("chain", "file.md", None),
    ] {
        symlink(target, folder.join(name))?;
        if let Some(rule) = rule {
            planter.expect(rule, &format!("planted/links/{name}"), None);
        }
    }
    planter.file(
        "planted/links/README.md",
        "# Links\n\n[a](file.md#dup) [b](folder/other.md#dup) [c](chain) [d](file.md#none)«markdown/broken-anchor» [e](folder/none.md)«markdown/broken-link»\n",
    )
}

#[cfg(not(unix))]
fn plant_links(_: &mut Planter<'_>) -> Result<()> {
    Ok(())
}

/// Damages Markdown of the copy in place, and copies of its JSON, TOML and YAML.
fn damage_own_files(planter: &mut Planter<'_>) -> Result<()> {
    let mut files = BTreeSet::new();
    list(planter.root, "", &mut files)?;
    let mut damaged = [0; 4];
    for path in files {
        let Ok(text) = fs::read_to_string(planter.root.join(&path)) else {
            continue;
        };
        let name = path.rsplit('/').next().unwrap_or(&path);
        let format = match name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("md") if !name.contains("TEMPLATE") => 0,
            Some("json") if !name.starts_with("tsconfig") && text.starts_with("{\n") => 1,
            Some("toml") => 2,
            // What stands before the first key must not be a directive or a document mark.
            Some("yaml" | "yml") if text.starts_with(|first: char| first.is_ascii_lowercase()) => 3,
            _ => continue,
        };
        if damaged[format] == DAMAGED_PER_FORMAT {
            continue;
        }
        damaged[format] += 1;
        let number = damaged[format];
        let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let copy = format!("planted/copies/{number}-{name}");
        match format {
            0 => {
                let text = format!(
                    "{text}{end}{end}See ü [planted](planted-missing-{number}.md) and [this](#planted-anchor-{number}).{end}"
                );
                let line = text.lines().count();
                planter.bytes(&path, text.as_bytes())?;
                planter.expect("markdown/broken-link", &path, Some(line));
                planter.expect("markdown/broken-anchor", &path, Some(line));
            }
            1 => {
                let text =
                    text.replacen("{\n", "{\n  \"planted ü\": {},\n  \"planted ü\": [],\n", 1);
                planter.bytes(&copy, text.as_bytes())?;
                planter.expect("json/duplicate-key", &copy, Some(3));
            }
            2 => {
                let text = format!("{text}{end}[planted-table]{end}a = 'ü'{end}a = 2{end}");
                let line = text.lines().count();
                planter.bytes(&copy, text.as_bytes())?;
                planter.expect("toml/duplicate-key", &copy, Some(line));
            }
            _ => {
                let text = format!("planted: ü{end}planted: 2{end}{text}");
                planter.bytes(&copy, text.as_bytes())?;
                planter.expect("yaml/duplicate-key", &copy, Some(2));
            }
        }
    }
    Ok(())
}

fn list(root: &Path, folder: &str, files: &mut BTreeSet<String>) -> Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = match folder {
            "" => name.clone(),
            folder => format!("{folder}/{name}"),
        };
        let kind = entry.file_type()?;
        if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
            list(root, &path, files)?;
        } else if kind.is_file() {
            files.insert(path);
        }
    }
    Ok(())
}

/// A long page whose last lines are broken links, as many as are wanting.
fn fill_up(planter: &mut Planter<'_>) -> Result<()> {
    let Some(wanting) = DEFECTS.checked_sub(planter.defects.len()) else {
        return Err(Error::other(format!(
            "{} defects are planted, more than {DEFECTS}",
            planter.defects.len()
        )));
    };
    let mut page = String::from("# Index\n\n");
    for number in 0..2_000 {
        page.push_str(&format!("- entry {number}: [guide](guide.md#part-two)\n"));
    }
    for number in 0..wanting {
        page.push_str(&format!(
            "- ü [entry {number}](entries/{number}.md)«markdown/broken-link»\n"
        ));
    }
    planter.file("planted/docs/index.md", &page)
}
