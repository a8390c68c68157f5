//! `.sync-config.yaml`: which files of the source go to which repository, and how.
//!
//! Every mistake of the file is a finding with its line and column, all of them at once.

use crate::yaml::{self, Member, Node};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use infinity_sdk::prelude::*;
use serde_saphyr::{Location as Place, Spanned};

/// Targets of one file: an organisation's repositories.
const TARGETS_MAX: usize = 100;

/// Patterns, names and labels in one list.
const LIST_MAX: usize = 1_000;

/// People who may be asked for.
const APPROVALS_MAX: u64 = 100;

/// What a target may say.
const KEYS: [&str; 10] = [
    "name",
    "repo",
    "branch",
    "paths",
    "exclude",
    "create_pr",
    "auto_merge",
    "require_approvals",
    "reviewers",
    "labels",
];

/// A repository that follows the source.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// What people call it, unique in the file.
    pub(crate) name: String,
    /// The repository, as the host calls it.
    pub(crate) repository: String,
    /// The branch that follows; none for the repository's default branch.
    pub(crate) branch: Option<String>,
    /// What goes there.
    pub(crate) paths: GlobSet,
    /// What does not, though `paths` says so.
    pub(crate) exclude: GlobSet,
    /// Whether a pull request is opened, or only its branch made.
    pub(crate) create_pr: bool,
    /// Whether a merge is proposed once enough people approve.
    pub(crate) auto_merge: bool,
    /// People who have to approve before it is merged.
    pub(crate) require_approvals: u32,
    pub(crate) reviewers: Vec<String>,
    pub(crate) labels: Vec<String>,
}

impl Target {
    /// Whether a path is for this target.
    pub(crate) fn covers(&self, path: &str) -> bool {
        self.paths.is_match(path) && !self.exclude.is_match(path)
    }
}

/// Mistakes of the file.
struct Mistakes<'f> {
    repository: &'f str,
    path: &'f str,
    found: Vec<Finding>,
}

impl Mistakes<'_> {
    fn at(&mut self, place: Place, message: impl Into<String>, help: &str) {
        let number = |value: u64| u32::try_from(value).ok().filter(|value| *value > 0);
        let finding = Finding::new("sync/config", Level::Error, message)
            .at(self.path, number(place.line()), number(place.column()))
            .in_repository(self.repository)
            .with_help(help);
        self.found.push(finding);
    }
}

/// Reads the file. `repositories` are those that the agent is granted.
///
/// # Errors
/// Every mistake.
pub(crate) fn read(
    text: &str,
    repository: &str,
    path: &str,
    repositories: &[String],
) -> Result<Vec<Target>, Vec<Finding>> {
    let mut mistakes = Mistakes {
        repository,
        path,
        found: Vec::new(),
    };
    let root = match yaml::parse(text) {
        Ok(root) => root,
        Err((message, place)) => {
            mistakes.at(place.unwrap_or(Place::UNKNOWN), message, "correct the YAML");
            return Err(mistakes.found);
        }
    };
    let mut targets: Vec<Target> = Vec::new();
    let Node::Map(members) = &root.value else {
        mistakes.at(
            root.referenced,
            "the file is no mapping",
            "begin with `targets:`",
        );
        return Err(mistakes.found);
    };
    for (key, _) in members {
        if key.value != "targets" {
            mistakes.at(
                key.referenced,
                format!("`{}` is no key here", key.value),
                "the only key is `targets`",
            );
        }
    }
    match yaml::member(members, "targets").map(|node| (&node.value, node.referenced)) {
        Some((Node::List(list), _)) => {
            for node in list {
                if let Some(target) = target(None, node, repositories, &mut mistakes) {
                    targets.push(target);
                }
            }
        }
        // Written as a mapping from names.
        Some((Node::Map(map), _)) => {
            for (key, node) in map {
                if let Some(target) = target(Some(key), node, repositories, &mut mistakes) {
                    targets.push(target);
                }
            }
        }
        Some((_, place)) => mistakes.at(
            place,
            "`targets` is no list",
            "write a list of targets, each with `repo` and `paths`",
        ),
        None => mistakes.at(
            root.referenced,
            "there is no `targets`",
            "write a list of targets, each with `repo` and `paths`",
        ),
    }
    if targets.len() > TARGETS_MAX {
        mistakes.at(
            root.referenced,
            format!("there are more than {TARGETS_MAX} targets"),
            "split them over several agents with a file each",
        );
    }
    for (index, target) in targets.iter().enumerate() {
        if targets[..index]
            .iter()
            .any(|other| other.name == target.name)
        {
            mistakes.at(
                root.referenced,
                format!("two targets are called `{}`", target.name),
                "give each a `name` of its own",
            );
        }
    }
    if mistakes.found.is_empty() {
        Ok(targets)
    } else {
        Err(mistakes.found)
    }
}

fn target(
    key: Option<&Spanned<String>>,
    node: &Spanned<Node>,
    repositories: &[String],
    mistakes: &mut Mistakes<'_>,
) -> Option<Target> {
    let Node::Map(members) = &node.value else {
        mistakes.at(
            node.referenced,
            "a target is no mapping",
            "write `repo`, `paths` and what else it needs below it",
        );
        return None;
    };
    for (name, _) in members {
        if !KEYS.contains(&name.value.as_str()) {
            mistakes.at(
                name.referenced,
                format!("`{}` is no key of a target", name.value),
                &format!(
                    "the keys are {}",
                    KEYS.map(|key| format!("`{key}`")).join(", ")
                ),
            );
        }
    }
    let repo = text(members, "repo", mistakes);
    if yaml::member(members, "repo").is_none() {
        mistakes.at(
            node.referenced,
            "a target has no `repo`",
            "write for instance `repo: acme/mvp`",
        );
    }
    let repository = repo.and_then(|(repo, place)| {
        let short = repo.rsplit('/').next().unwrap_or_default();
        let found = repositories
            .iter()
            .find(|name| **name == repo)
            .or_else(|| repositories.iter().find(|name| *name == short));
        if found.is_none() {
            mistakes.at(
                place,
                format!("the repository `{repo}` is not granted to this agent"),
                &format!("`repos = [{{ name = \"{short}\", read = true, commit = [\"automation/*\"], pull_request = true, issue = true }}]` in the agent's grants allows it"),
            );
        }
        found.cloned()
    });
    let named = text(members, "name", mistakes);
    let named = named.or_else(|| key.map(|key| (key.value.clone(), key.referenced)));
    if let Some((name, place)) = &named
        && !is_name(name)
    {
        mistakes.at(
            *place,
            format!("`{name}` cannot be a target's name"),
            "use letters, digits, `.`, `_` and `-`: it becomes a part of branches",
        );
    }
    let (paths, some) = globs(members, "paths", mistakes);
    if !some {
        mistakes.at(
            node.referenced,
            "a target has no `paths`",
            "write globs such as `src/**`, or `\"**\"` for everything",
        );
    }
    let (exclude, _) = globs(members, "exclude", mistakes);
    let create_pr = flag(members, "create_pr", mistakes).unwrap_or(true);
    let auto_merge = flag(members, "auto_merge", mistakes).unwrap_or(false);
    let require_approvals = count(members, "require_approvals", mistakes).unwrap_or(0);
    let branch = text(members, "branch", mistakes).map(|(branch, _)| branch);
    let reviewers = names(members, "reviewers", mistakes);
    let labels = names(members, "labels", mistakes);
    let repository = repository?;
    let name = named.map_or_else(
        || {
            let usable = |c: char| if is_name_character(c) { c } else { '-' };
            repository.chars().map(usable).collect()
        },
        |(name, _)| name,
    );
    Some(Target {
        name,
        repository,
        branch,
        paths,
        exclude,
        create_pr,
        auto_merge,
        require_approvals,
        reviewers,
        labels,
    })
}

fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-".contains(c)
}

fn is_name(name: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    name.len() <= 100
        && name.chars().all(is_name_character)
        && edge(name.chars().next())
        && edge(name.chars().last())
        && !name.contains("..")
}

fn text(members: &[Member], key: &str, mistakes: &mut Mistakes<'_>) -> Option<(String, Place)> {
    let node = yaml::member(members, key)?;
    match &node.value {
        Node::Text(text) if !text.trim().is_empty() => Some((text.clone(), node.referenced)),
        _ => {
            mistakes.at(node.referenced, format!("`{key}` is no text"), "write one");
            None
        }
    }
}

fn flag(members: &[Member], key: &str, mistakes: &mut Mistakes<'_>) -> Option<bool> {
    let node = yaml::member(members, key)?;
    match node.value {
        Node::Flag(flag) => Some(flag),
        _ => {
            mistakes.at(
                node.referenced,
                format!("`{key}` is neither true nor false"),
                "write `true` or `false`",
            );
            None
        }
    }
}

fn count(members: &[Member], key: &str, mistakes: &mut Mistakes<'_>) -> Option<u32> {
    let node = yaml::member(members, key)?;
    match node.value {
        Node::Number(number) if number <= APPROVALS_MAX => u32::try_from(number).ok(),
        _ => {
            mistakes.at(
                node.referenced,
                format!("`{key}` is no number from 0 to {APPROVALS_MAX}"),
                "write how many people have to approve",
            );
            None
        }
    }
}

fn list<'m>(
    members: &'m [Member],
    key: &str,
    mistakes: &mut Mistakes<'_>,
) -> Vec<(&'m str, Place)> {
    let Some(node) = yaml::member(members, key) else {
        return Vec::new();
    };
    let Node::List(list) = &node.value else {
        mistakes.at(
            node.referenced,
            format!("`{key}` is no list"),
            "write one entry per line, each behind `- `",
        );
        return Vec::new();
    };
    if list.len() > LIST_MAX {
        mistakes.at(
            node.referenced,
            format!("`{key}` has more than {LIST_MAX} entries"),
            "globs such as `src/**` cover many files",
        );
    }
    list.iter()
        .take(LIST_MAX)
        .filter_map(|entry| match &entry.value {
            Node::Text(text) if !text.is_empty() => Some((text.as_str(), entry.referenced)),
            _ => {
                mistakes.at(
                    entry.referenced,
                    format!("an entry of `{key}` is no text"),
                    "put it into quotation marks",
                );
                None
            }
        })
        .collect()
}

fn names(members: &[Member], key: &str, mistakes: &mut Mistakes<'_>) -> Vec<String> {
    list(members, key, mistakes)
        .into_iter()
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// The globs of a list, and whether there are some.
fn globs(members: &[Member], key: &str, mistakes: &mut Mistakes<'_>) -> (GlobSet, bool) {
    let mut set = GlobSetBuilder::new();
    let listed = list(members, key, mistakes);
    for (pattern, place) in &listed {
        match GlobBuilder::new(pattern).literal_separator(true).build() {
            Ok(glob) => {
                set.add(glob);
            }
            Err(error) => mistakes.at(
                *place,
                format!("`{pattern}` is no glob: {}", error.kind()),
                "`*` stands for a part of a name, `**` for any folders",
            ),
        }
    }
    let given = yaml::member(members, key).is_some();
    match set.build() {
        Ok(set) => (set, given),
        Err(error) => {
            let place = yaml::member(members, key).map_or(Place::UNKNOWN, |node| node.referenced);
            mistakes.at(
                place,
                format!("`{key}`: {error}"),
                "use fewer, simpler globs",
            );
            (GlobSet::empty(), given)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "\
targets:
  - repo: acme/mvp
    paths: ['src/quantum-mind/**', 'docs/**']
    exclude: ['**/*.test.ts', '**/secrets/**']
    create_pr: true
    auto_merge: false
    reviewers: ['team:mvp-team']
    labels: [sync/foundation, auto-generated]
  - repo: acme/production
    paths: ['src/**']
    require_approvals: 2
    reviewers: ['team:infra', 'team:security']
    labels: [sync/foundation, requires-review]
";

    fn granted() -> Vec<String> {
        vec!["mvp".into(), "production".into()]
    }

    fn mistakes(text: &str) -> Vec<(Option<u32>, Option<u32>, String)> {
        let found = read(text, "foundation", ".sync-config.yaml", &granted()).unwrap_err();
        found
            .into_iter()
            .map(|finding| {
                let place = finding.location.unwrap();
                (place.line, place.column, finding.message)
            })
            .collect()
    }

    #[test]
    fn the_sample_is_read() {
        let targets = read(SAMPLE, "foundation", "x", &granted()).unwrap();
        let [mvp, production] = targets.as_slice() else {
            panic!("{targets:?}")
        };
        assert_eq!((mvp.name.as_str(), mvp.repository.as_str()), ("mvp", "mvp"));
        assert!(mvp.covers("src/quantum-mind/a/b.ts"));
        assert!(!mvp.covers("src/quantum-mind/a/b.test.ts"));
        assert!(!mvp.covers("src/other.ts"));
        assert!(!mvp.covers("docs/secrets/key"));
        assert_eq!(production.require_approvals, 2);
        assert_eq!(production.reviewers, ["team:infra", "team:security"]);
        assert!(production.create_pr && !production.auto_merge);
    }

    #[test]
    fn targets_may_be_a_mapping() {
        let text = "targets:\n  fast:\n    repo: mvp\n    paths: ['**']\n";
        let targets = read(text, "foundation", "x", &granted()).unwrap();
        assert_eq!(targets[0].name, "fast");
    }

    #[test]
    fn every_mistake_is_found_with_its_place() {
        let text = "\
target: 1
targets:
  - repo: acme/unknown
    paths: ['a[', 'b/**']
    create_pr: perhaps
    require_approvals: -1
    reviewer: [x]
    labels: sync
  - paths: ['**']
  - repo: mvp
  - text
";
        let found = mistakes(text);
        let places: Vec<(u32, u32)> = found
            .iter()
            .map(|(line, column, _)| (line.unwrap(), column.unwrap()))
            .collect();
        assert_eq!(
            places,
            [
                (1, 1),
                (7, 5),
                (3, 11),
                (4, 13),
                (5, 16),
                (6, 24),
                (8, 13),
                (9, 5),
                (10, 5),
                (11, 5),
            ],
            "{found:#?}"
        );
    }

    #[test]
    fn what_is_no_yaml_is_one_finding() {
        let found = mistakes("targets:\n  - repo: [\n");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].0.is_some());
    }
}
