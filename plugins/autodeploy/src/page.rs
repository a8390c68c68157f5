//! One Markdown file as a page.

use pulldown_cmark::{
    CodeBlockKind, CowStr, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd, html,
};
use std::collections::{BTreeSet, HashMap};
use syntect::html::{ClassStyle, ClassedHTMLGenerator};
use syntect::parsing::SyntaxSet;
use syntect::util::LinesWithEndings;

/// Bytes of a block of code that is coloured; more is shown as it is.
const CODE_BYTES_MAX: usize = 64 * 1024;

/// Characters of a page's text that the search knows.
const TEXT_MAX: usize = 20_000;

/// The classes of coloured code begin so.
pub(crate) const CLASSES: ClassStyle = ClassStyle::SpacedPrefixed { prefix: "c-" };

/// A heading of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heading {
    pub(crate) level: u8,
    pub(crate) id: String,
    pub(crate) text: String,
}

/// A page, before it gets its frame.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// The first heading, or the file's name.
    pub(crate) title: String,
    pub(crate) headings: Vec<Heading>,
    pub(crate) html: String,
    /// What the search looks through.
    pub(crate) text: String,
    /// Links to files that are not part of the site.
    pub(crate) broken: Vec<String>,
}

/// Where a page of the site is, by the Markdown file's path.
pub(crate) fn place(path: &str) -> String {
    let stem = path
        .strip_suffix(".md")
        .or_else(|| path.strip_suffix(".markdown"))
        .unwrap_or(path);
    let (folder, name) = stem
        .rsplit_once('/')
        .map_or(("", stem), |(folder, name)| (folder, name));
    let name = if name.eq_ignore_ascii_case("readme") {
        "index"
    } else {
        name
    };
    if folder.is_empty() {
        format!("{name}.html")
    } else {
        format!("{folder}/{name}.html")
    }
}

/// From a page to the site's root: `../` for each folder.
pub(crate) fn to_root(place: &str) -> String {
    "../".repeat(place.matches('/').count())
}

/// A path relative to the folder of `from`; none where it leads out of the root.
fn joined(from: &str, relative: &str) -> Option<String> {
    let mut parts: Vec<&str> = match relative.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => from
            .rsplit_once('/')
            .map_or_else(Vec::new, |(folder, _)| folder.split('/').collect()),
    };
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Whether a link leads elsewhere, by a scheme that a reader can follow safely.
fn leads_away(destination: &str) -> Option<bool> {
    let scheme = destination.split_once(':').map(|(scheme, _)| scheme)?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    is_scheme.then(|| {
        ["http", "https", "mailto"]
            .iter()
            .any(|safe| scheme.eq_ignore_ascii_case(safe))
    })
}

/// A link as the site has it.
fn link(
    destination: &str,
    from: &str,
    files: &BTreeSet<String>,
    broken: &mut Vec<String>,
) -> String {
    match leads_away(destination) {
        Some(true) => return destination.to_owned(),
        Some(false) => return "#".to_owned(),
        None if destination.starts_with("//") || destination.starts_with('#') => {
            return destination.to_owned();
        }
        None => {}
    }
    let (path, anchor) = match destination.split_once('#') {
        Some((path, anchor)) => (path, format!("#{anchor}")),
        None => (destination, String::new()),
    };
    let target = joined(from, path).map(|target| decoded(&target));
    let Some(target) = target else {
        broken.push(destination.to_owned());
        return destination.to_owned();
    };
    let up = to_root(&place(from));
    let folder = format!("{}/", target.trim_end_matches('/'));
    if is_markdown(&target) && files.contains(&target) {
        format!("{up}{}{anchor}", encoded(&place(&target)))
    } else if files.contains(&target) {
        format!("{up}{}{anchor}", encoded(&target))
    } else if files.contains(&format!("{folder}README.md")) {
        format!("{up}{}index.html{anchor}", encoded(&folder))
    } else {
        broken.push(destination.to_owned());
        destination.to_owned()
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match (
            first,
            code.and_then(|code| u8::from_str_radix(code, 16).ok()),
        ) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// A path as a link has it.
pub(crate) fn encoded(path: &str) -> String {
    let mut link = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            link.push(char::from(byte));
        } else {
            link.push_str(&format!("%{byte:02X}"));
        }
    }
    link
}

pub(crate) fn is_markdown(path: &str) -> bool {
    let extension = path.rsplit_once('.').map(|(_, extension)| extension);
    extension.is_some_and(|extension| {
        ["md", "markdown"]
            .iter()
            .any(|one| extension.eq_ignore_ascii_case(one))
    })
}

/// The anchor of a heading, as GitHub makes it.
fn slug(text: &str) -> String {
    text.trim()
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        })
        .collect()
}

/// Code in colours; none for a language nobody knows, and for too much.
fn coloured(code: &str, language: &str, syntaxes: &SyntaxSet) -> Option<String> {
    let name = language.split([',', ' ']).next().unwrap_or_default();
    let name = match name {
        "" | "text" | "txt" => return None,
        "console" | "shell" | "sh" => "bash",
        "jsonc" => "json",
        name => name,
    };
    let syntax = syntaxes.find_syntax_by_token(name)?;
    if code.len() > CODE_BYTES_MAX {
        return None;
    }
    let mut generator = ClassedHTMLGenerator::new_with_class_style(syntax, syntaxes, CLASSES);
    for line in LinesWithEndings::from(code) {
        generator
            .parse_html_for_line_which_includes_newline(line)
            .ok()?;
    }
    Some(generator.finalize())
}

/// Text as HTML shows it.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

/// Renders a file. `files` are all of the site's, by their paths in the repository.
pub(crate) fn render(
    path: &str,
    text: &str,
    files: &BTreeSet<String>,
    syntaxes: &SyntaxSet,
) -> Page {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_GFM;
    let mut page = Page::default();
    let mut events: Vec<Event<'_>> = Vec::new();
    let mut slugs: HashMap<String, u32> = HashMap::new();
    // Where the open heading began, and its text.
    let mut heading: Option<(usize, HeadingLevel, String)> = None;
    let mut code: Option<(String, String)> = None;
    let mut length = 0;
    for event in Parser::new_ext(text, options) {
        if let Event::Text(text) | Event::Code(text) = &event {
            if let Some((_, _, said)) = &mut heading {
                said.push_str(text);
            }
            if length < TEXT_MAX {
                length += text.chars().count() + 1;
                page.text.push_str(text);
                page.text.push(' ');
            }
        }
        let event = match event {
            Event::Start(Tag::CodeBlock(kind)) => {
                let language = match kind {
                    CodeBlockKind::Fenced(language) => language.to_string(),
                    CodeBlockKind::Indented => String::new(),
                };
                code = Some((language, String::new()));
                continue;
            }
            Event::Text(text) if code.is_some() => {
                if let Some((_, code)) = &mut code {
                    code.push_str(&text);
                }
                continue;
            }
            Event::End(TagEnd::CodeBlock) => {
                let (language, code) = code.take().unwrap_or_default();
                let inner = coloured(&code, &language, syntaxes).unwrap_or_else(|| escaped(&code));
                Event::Html(CowStr::from(format!(
                    "<pre tabindex=\"0\"><code>{inner}</code></pre>\n"
                )))
            }
            // What a document says in HTML is shown as it is written: a page runs nothing of its author's.
            Event::Html(html) | Event::InlineHtml(html) => {
                if html.trim_start().starts_with("<!--") {
                    continue;
                }
                if let Some((_, _, said)) = &mut heading {
                    said.push_str(&html);
                }
                Event::Text(html)
            }
            Event::Start(Tag::HtmlBlock) => Event::Start(Tag::Paragraph),
            Event::End(TagEnd::HtmlBlock) => Event::End(TagEnd::Paragraph),
            Event::Start(Tag::Heading { level, .. }) => {
                heading = Some((events.len(), level, String::new()));
                continue;
            }
            Event::End(TagEnd::Heading(level)) => {
                let (at, _, said) = heading
                    .take()
                    .unwrap_or((events.len(), level, String::new()));
                let base = slug(&said);
                let seen = slugs.entry(base.clone()).or_default();
                let id = if *seen == 0 {
                    base
                } else {
                    format!("{base}-{seen}")
                };
                *seen += 1;
                let number = level as u8;
                let open = format!(
                    "<h{number} id=\"{0}\"><a class=\"anchor\" href=\"#{0}\" aria-hidden=\"true\" tabindex=\"-1\">#</a>",
                    escaped(&id)
                );
                events.insert(at, Event::Html(CowStr::from(open)));
                page.headings.push(Heading {
                    level: number,
                    id,
                    text: said,
                });
                Event::Html(CowStr::from(format!("</h{number}>\n")))
            }
            Event::Start(Tag::Link {
                link_type,
                dest_url,
                title,
                id,
            }) => {
                let dest_url = match link_type {
                    LinkType::Email => dest_url,
                    _ => CowStr::from(link(&dest_url, path, files, &mut page.broken)),
                };
                Event::Start(Tag::Link {
                    link_type,
                    dest_url,
                    title,
                    id,
                })
            }
            Event::Start(Tag::Image {
                link_type,
                dest_url,
                title,
                id,
            }) => {
                let dest_url = CowStr::from(link(&dest_url, path, files, &mut page.broken));
                Event::Start(Tag::Image {
                    link_type,
                    dest_url,
                    title,
                    id,
                })
            }
            other => other,
        };
        events.push(event);
    }
    html::push_html(&mut page.html, events.into_iter());
    page.title = page
        .headings
        .iter()
        .min_by_key(|heading| heading.level)
        .map(|heading| heading.text.clone())
        .filter(|title| !title.trim().is_empty())
        .unwrap_or_else(|| path.rsplit('/').next().unwrap_or(path).to_owned());
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(paths: &[&str]) -> BTreeSet<String> {
        paths.iter().map(|path| (*path).to_owned()).collect()
    }

    fn page(path: &str, text: &str, paths: &[&str]) -> Page {
        render(
            path,
            text,
            &files(paths),
            &SyntaxSet::load_defaults_newlines(),
        )
    }

    #[test]
    fn links_lead_to_pages_of_the_site() {
        let text = "[a](docs/a.md#x) [up](../b.md) [docs](docs/) [img](docs/i%20j.png) [out](https://example.com) [gone](docs/gone.md) [js](javascript:alert(1)) [here](#top)";
        let page = page(
            "README.md",
            text,
            &["README.md", "docs/a.md", "docs/README.md", "docs/i j.png"],
        );
        for link in [
            "\"docs/a.html#x\"",
            "\"docs/index.html\"",
            "\"docs/i%20j.png\"",
            "\"https://example.com\"",
            "\"#top\"",
        ] {
            assert!(page.html.contains(link), "{link}: {}", page.html);
        }
        assert!(!page.html.contains("javascript:"), "{}", page.html);
        assert_eq!(page.broken, ["../b.md", "docs/gone.md"]);
        let nested = super::render(
            "docs/x/a.md",
            "[r](../../README.md)",
            &files(&["README.md"]),
            &SyntaxSet::new(),
        );
        assert!(
            nested.html.contains("\"../../index.html\""),
            "{}",
            nested.html
        );
    }

    #[test]
    fn html_of_authors_is_shown_and_not_run() {
        let page = page(
            "a.md",
            "x <script>alert(1)</script>\n\n<div onclick=\"x\">y</div>\n\n<!-- hidden -->\n\n```rust\nlet a = \"<b>\";\n```\n",
            &[],
        );
        assert!(!page.html.contains("<script>"), "{}", page.html);
        assert!(!page.html.contains("<div"), "{}", page.html);
        assert!(!page.html.contains("hidden"), "{}", page.html);
        assert!(page.html.contains("class=\"c-"), "{}", page.html);
        assert!(!page.html.contains("<b>"), "{}", page.html);
    }

    #[test]
    fn headings_have_anchors_as_github_makes_them() {
        let page = page("a.md", "# A `b`, c!\n\n## Same\n\n## Same\n", &[]);
        let ids: Vec<&str> = page
            .headings
            .iter()
            .map(|heading| heading.id.as_str())
            .collect();
        assert_eq!(ids, ["a-b-c", "same", "same-1"]);
        assert_eq!(page.title, "A b, c!");
    }

    #[test]
    fn places_follow_the_folders() {
        assert_eq!(place("README.md"), "index.html");
        assert_eq!(place("docs/x/readme.md"), "docs/x/index.html");
        assert_eq!(place("docs/a.b.md"), "docs/a.b.html");
        assert_eq!(to_root("docs/x/index.html"), "../../");
    }
}
