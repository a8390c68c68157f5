//! Markdown as GitHub renders it: the links that may be wrong, and the anchors that links may name.
//!
//! Takes text, gives links with their byte offsets and the set of anchors; it does not know which files exist (`links.rs` does). Links in code
//! are no links. A reference definition is one link, however often it is used.

use pulldown_cmark::{Event, LinkType, Options, Parser, Tag, TagEnd};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// Anchors and links kept per file; a file with more is not checked for what is beyond, and its anchors count as unknown.
const MAX_ITEMS: usize = 20_000;

/// Characters of the longest named character, such as `&nbsp;`.
const MAX_ENTITY_BYTES: usize = 34;

/// What a Markdown file says.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) anchors: Anchors,
    /// In no particular order.
    pub(crate) links: Vec<Link>,
    /// Byte ranges of code blocks.
    pub(crate) code_blocks: Vec<Range<usize>>,
}

/// A link or an image.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) offset: usize,
    pub(crate) destination: String,
}

/// The anchors of a file.
#[derive(Debug, Default)]
pub(crate) struct Anchors {
    /// Slugs of headings without the marks on which renderers differ.
    slugs: HashSet<String>,
    /// Explicit `id` and `name` attributes, as written.
    explicit: HashSet<String>,
    incomplete: bool,
}

impl Anchors {
    /// Whether a fragment, already percent-decoded, names a place in the file.
    pub(crate) fn contains(&self, fragment: &str) -> bool {
        // What a browser or GitHub's viewer makes of a fragment beyond anchors.
        let fragment = fragment.split(":~:").next().unwrap_or(fragment);
        let fragment = fragment.strip_prefix("user-content-").unwrap_or(fragment);
        if fragment.is_empty() || fragment.eq_ignore_ascii_case("top") || self.incomplete {
            return true;
        }
        self.explicit.contains(fragment)
            || self.slugs.contains(&fold(fragment))
            || is_line_range(fragment)
            || fragment.starts_with("fn-")
            || fragment.starts_with("fnref-")
    }

    /// The anchor that differs in case only, for the help.
    pub(crate) fn nearest(&self, fragment: &str) -> Option<&str> {
        let wanted = fold(&fragment.to_lowercase());
        self.slugs
            .iter()
            .chain(&self.explicit)
            .find(|anchor| fold(&anchor.to_lowercase()) == wanted)
            .map(String::as_str)
    }
}

/// `L10`, `L10-L20`, `L10C3-L20C5`: lines of a file's source.
fn is_line_range(fragment: &str) -> bool {
    fragment.split('-').all(|part| {
        part.strip_prefix('L').is_some_and(|rest| {
            rest.starts_with(|first: char| first.is_ascii_digit())
                && rest.chars().all(|it| it.is_ascii_digit() || it == 'C')
        })
    })
}

/// GitHub's slug of a heading, without the suffix of repeated ones.
pub(crate) fn slug(heading: &str) -> String {
    heading
        .chars()
        .flat_map(char::to_lowercase)
        .filter_map(|character| match character {
            ' ' => Some('-'),
            '-' | '_' => Some(character),
            _ if character.is_alphanumeric() || is_mark(character) => Some(character),
            _ => None,
        })
        .collect()
}

/// Marks that GitHub keeps and the standard library does not call alphabetic: combining marks, joiners of emoji, variation selectors.
fn is_mark(character: char) -> bool {
    matches!(character, '\u{300}'..='\u{36F}' | '\u{FE00}'..='\u{FE0F}' | '\u{203F}' | '\u{2040}' | '\u{20D0}'..='\u{20FF}')
}

/// A slug without the characters on which renderers differ: marks and numbers that are no digits.
fn fold(slug: &str) -> String {
    slug.chars()
        .filter(|&it| it.is_alphabetic() || it.is_ascii_digit() || it == '-' || it == '_')
        .collect()
}

/// Reads a Markdown file.
pub(crate) fn scan(text: &str) -> Scan {
    let mut options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_GFM;
    options |= Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let parser = Parser::new_ext(text, options);
    let mut reader = Reader::default();
    for (_, definition) in parser.reference_definitions().iter() {
        reader.link(definition.span.start, &definition.dest);
    }
    for (event, range) in parser.into_offset_iter() {
        reader.event(text, event, range);
    }
    reader.scan
}

#[derive(Default)]
struct Reader {
    scan: Scan,
    /// The text of the heading that is open.
    heading: Option<String>,
    /// How many images are open: their text is no heading text.
    images: usize,
    /// Whether the events are of an HTML block that was read as a whole.
    in_html: bool,
    slug_to_count: HashMap<String, usize>,
}

impl Reader {
    fn link(&mut self, offset: usize, destination: &str) {
        if self.scan.links.len() < MAX_ITEMS {
            self.scan.links.push(Link {
                offset,
                destination: destination.to_owned(),
            });
        }
    }

    fn event(&mut self, text: &str, event: Event<'_>, range: Range<usize>) {
        match event {
            Event::Start(Tag::Heading { .. }) => self.heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => self.end_heading(),
            Event::Start(Tag::Link {
                link_type: LinkType::Inline,
                dest_url,
                ..
            }) => self.link(range.start, &dest_url),
            Event::Start(Tag::Image {
                link_type,
                dest_url,
                ..
            }) => {
                self.images += 1;
                if link_type == LinkType::Inline {
                    self.link(range.start, &dest_url);
                }
            }
            Event::End(TagEnd::Image) => self.images = self.images.saturating_sub(1),
            Event::Start(Tag::CodeBlock(_)) => self.scan.code_blocks.push(range),
            Event::Text(words) | Event::Code(words) => self.heading_text(&words),
            Event::SoftBreak | Event::HardBreak => self.heading_text(" "),
            Event::Start(Tag::HtmlBlock) => {
                self.in_html = true;
                self.html(text.get(range.clone()).unwrap_or_default(), range.start);
            }
            Event::End(TagEnd::HtmlBlock) => self.in_html = false,
            Event::InlineHtml(tag) => self.html(&tag, range.start),
            _ => {}
        }
    }

    fn heading_text(&mut self, words: &str) {
        if self.images == 0
            && !self.in_html
            && let Some(heading) = &mut self.heading
        {
            heading.push_str(words);
        }
    }

    fn end_heading(&mut self) {
        let Some(heading) = self.heading.take() else {
            return;
        };
        // Site generators take `# Title {#id}`; GitHub does not. Both anchors are accepted.
        if let Some((title, id)) = heading
            .trim_end()
            .strip_suffix('}')
            .and_then(|rest| rest.rsplit_once("{#"))
        {
            self.explicit(id);
            let title = slug(title.trim());
            self.anchor(title);
        }
        let trimmed = slug(heading.trim());
        // After a picture GitHub keeps the space, other renderers do not.
        let whole = slug(&heading);
        if whole != trimmed {
            self.anchor(whole);
        }
        self.anchor(trimmed);
    }

    fn explicit(&mut self, id: &str) {
        if self.scan.anchors.explicit.len() < MAX_ITEMS {
            self.scan.anchors.explicit.insert(id.to_owned());
        } else {
            self.scan.anchors.incomplete = true;
        }
    }

    fn anchor(&mut self, slug: String) {
        if self.scan.anchors.slugs.len() >= MAX_ITEMS {
            self.scan.anchors.incomplete = true;
            return;
        }
        let count = self.slug_to_count.entry(slug.clone()).or_insert(0);
        let anchor = match *count {
            0 => slug.clone(),
            again => format!("{slug}-{again}"),
        };
        *count += 1;
        if !self.scan.anchors.slugs.insert(fold(&anchor)) {
            // `a`, `a`, `a 1`: renderers differ in what the third becomes.
            self.scan.anchors.slugs.insert(fold(&format!("{slug}-1")));
        }
    }

    /// Reads tags: `id` and `name` are anchors, `href` and `src` are links, `<h1>` to `<h6>` are headings.
    fn html(&mut self, html: &str, base: usize) {
        let mut at = 0;
        while let Some(found) = html[at..].find('<') {
            self.html_text(&html[at..at + found]);
            at += found;
            let rest = &html[at..];
            if rest.starts_with("<!--") {
                at += rest.find("-->").map_or(rest.len(), |end| end + 3);
                continue;
            }
            let closing = rest.starts_with("</");
            let name_start = if closing { 2 } else { 1 };
            let name_length = rest[name_start..]
                .find(|it: char| !it.is_ascii_alphanumeric())
                .unwrap_or(rest.len() - name_start);
            let name = rest[name_start..name_start + name_length].to_ascii_lowercase();
            if name.is_empty() {
                at += 1;
                continue;
            }
            let attributes_start = name_start + name_length;
            let length = if closing {
                rest.find('>').map_or(rest.len(), |end| end + 1)
            } else {
                attributes_start + self.attributes(&name, &rest[attributes_start..], base + at)
            };
            at += length;
            let is_heading = matches!(name.as_bytes(), [b'h', b'1'..=b'6']);
            if is_heading && closing {
                self.end_heading();
            } else if is_heading {
                self.heading = Some(String::new());
            } else if !closing && matches!(name.as_str(), "script" | "style") {
                let end = format!("</{name}");
                at += html[at..].find(&end).unwrap_or(html.len() - at);
            }
        }
        self.html_text(&html[at..]);
    }

    fn html_text(&mut self, text: &str) {
        if !self.in_html {
            return;
        }
        if let Some(heading) = &mut self.heading {
            // Named characters in headings are punctuation, which slugs drop.
            let mut rest = text;
            while let Some((before, after)) = rest.split_once('&') {
                heading.push_str(before);
                let name = after
                    .bytes()
                    .take(MAX_ENTITY_BYTES)
                    .position(|it| !it.is_ascii_alphanumeric() && it != b'#');
                rest = match name {
                    Some(end) if after.as_bytes().get(end) == Some(&b';') => &after[end + 1..],
                    _ => after,
                };
            }
            heading.push_str(rest);
        }
    }

    /// Reads the attributes of a tag up to its `>` and answers with how many bytes they take.
    fn attributes(&mut self, tag: &str, text: &str, tag_offset: usize) -> usize {
        let bytes = text.as_bytes();
        let mut at = 0;
        loop {
            while bytes
                .get(at)
                .is_some_and(|it| it.is_ascii_whitespace() || *it == b'/')
            {
                at += 1;
            }
            match bytes.get(at) {
                None => return at,
                Some(b'>') => return at + 1,
                Some(_) => {}
            }
            let name_start = at;
            while bytes
                .get(at)
                .is_some_and(|it| !it.is_ascii_whitespace() && !matches!(it, b'=' | b'>' | b'/'))
            {
                at += 1;
            }
            let name = text[name_start..at].to_ascii_lowercase();
            if at == name_start {
                at += 1;
                continue;
            }
            while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
                at += 1;
            }
            if bytes.get(at) != Some(&b'=') {
                continue;
            }
            at += 1;
            while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
                at += 1;
            }
            let value = match bytes.get(at) {
                Some(quote @ (b'"' | b'\'')) => {
                    let start = at + 1;
                    let end = bytes[start..]
                        .iter()
                        .position(|it| it == quote)
                        .map_or(bytes.len(), |length| start + length);
                    at = (end + 1).min(bytes.len());
                    &text[start..end]
                }
                _ => {
                    let start = at;
                    while bytes
                        .get(at)
                        .is_some_and(|it| !it.is_ascii_whitespace() && *it != b'>')
                    {
                        at += 1;
                    }
                    &text[start..at]
                }
            };
            match (tag, name.as_str()) {
                (_, "id") | ("a", "name") => self.explicit(value),
                ("a", "href") | ("img" | "source" | "video" | "audio", "src") => {
                    self.link(tag_offset, &value.replace("&amp;", "&"));
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links_of(text: &str) -> Vec<String> {
        let mut links = scan(text).links;
        links.sort_by_key(|link| link.offset);
        links.into_iter().map(|link| link.destination).collect()
    }

    #[test]
    fn slugs_follow_github() {
        for (heading, expected) in [
            ("Hello, World!", "hello-world"),
            ("What's `new` in v1.2?", "whats-new-in-v12"),
            ("a  b", "a--b"),
            ("🚀 Launch", "-launch"),
            ("Überblick & Ästhetik", "überblick--ästhetik"),
            ("snake_case-and-kebab", "snake_case-and-kebab"),
            ("日本語 見出し", "日本語-見出し"),
        ] {
            assert_eq!(slug(heading), expected);
        }
    }

    #[test]
    fn anchors_come_from_headings_and_attributes() {
        let text = "# A *b* [c](x.md) `d`\n\n## Dup\n\n## Dup\n\nSet\n===\n\n<a id=\"Mark\"></a>\n<h2 align=\"center\">In <b>HTML</b> &amp; more</h2>\n\n### ![alt](i.png) Pic\n\n### Id {#own}\n\n## Dup 1\n\n## Dup\n";
        let anchors = scan(text).anchors;
        for anchor in [
            "a-b-c-d",
            "dup",
            "dup-1",
            "set",
            "Mark",
            "in-html--more",
            "-pic",
            "own",
            "id",
            "dup-1-1",
            "dup-2",
            "user-content-set",
            "",
            "top",
            "L10-L20",
        ] {
            assert!(anchors.contains(anchor), "{anchor}: {anchors:?}");
        }
        for anchor in ["dup-3", "Set", "mark", "b"] {
            assert!(!anchors.contains(anchor), "{anchor}");
        }
        assert_eq!(anchors.nearest("SET"), Some("set"));
    }

    #[test]
    fn links_are_found_and_code_is_not() {
        assert_eq!(
            links_of(
                "[a](b.md) ![i](i.png \"t\") `[x](x.md)`\n\n[r]: <ref file.md>\n\n```\n[y](y.md)\n```\n\n    [z](z.md)\n\n<img src=\"p.png\"> <!-- <a href=\"no\"> --> [r] \\[n](n.md)\n"
            ),
            ["b.md", "i.png", "ref file.md", "p.png"]
        );
        assert_eq!(
            links_of("<p>\n<a\n href='x.html'>x</a>\n<script>'<a href=\"no\">'</script></p>\n"),
            ["x.html"]
        );
        assert_eq!(
            links_of("---\ntitle: \"[a](b)\"\n---\n\n<https://a.b/c>\n"),
            [""; 0]
        );
    }

    #[test]
    fn hostile_texts_end() {
        for text in [
            "[".repeat(200_000),
            "<".repeat(200_000),
            "<a ".repeat(100_000),
            "> ".repeat(50_000),
            "# a\n".repeat(30_000),
            "<h1>".repeat(50_000),
            "<a b='".repeat(50_000),
        ] {
            let scan = scan(&text);
            assert!(scan.links.len() <= MAX_ITEMS);
        }
    }
}
