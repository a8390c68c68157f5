//! What is drawn, and that it is well-formed for every label.

use super::render;
use crate::bindings::exports::infinity::agent::badge::{Image, Request, State, Style};

const STYLES: [Style; 5] = [
    Style::Flat,
    Style::FlatSquare,
    Style::Plastic,
    Style::ForTheBadge,
    Style::Social,
];

const STATES: [State; 5] = [
    State::Paused,
    State::Error,
    State::Generating,
    State::Deployed,
    State::Online,
];

fn draw(label: &str, state: State, style: Style) -> Result<Image, String> {
    render(&Request {
        label: label.to_owned(),
        state,
        style,
    })
}

fn svg(label: &str, state: State, style: Style) -> String {
    draw(label, state, style).unwrap().svg
}

/// One start tag: its name and attributes with the references resolved.
#[derive(Debug)]
struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    fn get(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What a strict reader of the XML that badges use finds: start tags in order, and the text of each element that has any.
#[derive(Debug, Default)]
struct Document {
    tags: Vec<Tag>,
    texts: Vec<(String, String)>,
}

/// Resolves the five named references and refuses everything that XML refuses in text.
fn unescape(text: &str) -> Result<String, String> {
    if let Some(bad) = text
        .chars()
        .find(|c| matches!(c, '<' | '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}'))
    {
        return Err(format!("{bad:?} in text"));
    }
    let mut parts = text.split('&');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part
            .split_once(';')
            .ok_or_else(|| format!("`&` without `;` before `{part}`"))?;
        plain.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            other => return Err(format!("unknown reference `&{other};`")),
        });
        plain.push_str(rest);
    }
    Ok(plain)
}

fn read_tag(inside: &str) -> Result<Tag, String> {
    let (name, mut rest) = inside.split_once(' ').unwrap_or((inside, ""));
    let mut attributes: Vec<(String, String)> = Vec::new();
    rest = rest.trim();
    while !rest.is_empty() {
        let (key, after) = rest
            .split_once("=\"")
            .ok_or_else(|| format!("attribute without a value: `{rest}`"))?;
        let (value, after) = after
            .split_once('"')
            .ok_or_else(|| format!("value without an end: `{after}`"))?;
        if attributes.iter().any(|(known, _)| known == key) {
            return Err(format!("`{key}` twice"));
        }
        attributes.push((key.to_owned(), unescape(value)?));
        if !(after.is_empty() || after.starts_with(' ')) {
            return Err(format!("no space before `{after}`"));
        }
        rest = after.trim();
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == ':';
    if name.is_empty() || !name.chars().all(allowed) {
        return Err(format!("`{name}` is no name"));
    }
    Ok(Tag {
        name: name.to_owned(),
        attributes,
    })
}

fn read(xml: &str) -> Result<Document, String> {
    let mut document = Document::default();
    let mut open: Vec<String> = Vec::new();
    let mut rest = xml;
    while let Some(after) = rest.strip_prefix('<') {
        let (inside, after) = after.split_once('>').ok_or("tag without an end")?;
        if let Some(name) = inside.strip_prefix('/') {
            if open.pop().as_deref() != Some(name) {
                return Err(format!("`</{name}>` closes nothing"));
            }
        } else if let Some(inside) = inside.strip_suffix('/') {
            document.tags.push(read_tag(inside)?);
        } else {
            let tag = read_tag(inside)?;
            open.push(tag.name.clone());
            document.tags.push(tag);
        }
        let end = after.find('<').unwrap_or(after.len());
        let (text, after) = after.split_at(end);
        if !text.is_empty() {
            let within = open.last().ok_or("text outside the root")?;
            document.texts.push((within.clone(), unescape(text)?));
        }
        rest = after;
    }
    if rest.is_empty() && open.is_empty() {
        Ok(document)
    } else {
        Err(format!("left over: `{rest}`, open: {open:?}"))
    }
}

#[test]
fn the_reader_refuses_what_is_not_well_formed() {
    let check = |xml: &str| assert!(read(xml).is_err(), "{xml}");
    check("<a>");
    check("<a></b>");
    check("<a b=\"1\" b=\"2\"/>");
    check("<a b=\"x\"y\"/>");
    check("<a b=\"<\"/>");
    check("<a>&nbsp;</a>");
    check("<a>&</a>");
    check("<a>\u{1}</a>");
    check("<a/>text");
    assert!(read("<a b=\"&lt;\"><c/>t</a>").is_ok());
}

#[test]
fn every_state_has_its_text_and_colour() {
    let check = |state, message: &str, color: &str, hex: &str| {
        let image = draw("mirror", state, Style::Flat).unwrap();
        assert_eq!(
            (image.message.as_str(), image.color.as_str()),
            (message, color)
        );
        let document = read(&image.svg).unwrap();
        let fills: Vec<_> = document
            .tags
            .iter()
            .filter(|tag| tag.name == "rect")
            .filter_map(|tag| tag.get("fill"))
            .collect();
        assert!(fills.contains(&hex), "{state:?}: {fills:?}");
    };
    check(State::Paused, "Paused", "orange", "#fe7d37");
    check(State::Error, "Error", "red", "#e05d44");
    check(State::Generating, "Generating", "blue", "#007ec6");
    check(State::Deployed, "Deployed", "green", "#97ca00");
    check(State::Online, "Online", "green", "#97ca00");
}

/// Width and height of the image, then the width of the text of label and message as the SVG states them, in tenths of a pixel.
fn geometry(label: &str, state: State, style: Style) -> String {
    let document = read(&svg(label, state, style)).unwrap();
    let root = &document.tags[0];
    let texts: Vec<_> = document
        .tags
        .iter()
        .filter(|tag| tag.name == "text")
        .filter_map(|tag| tag.get("textLength"))
        .collect();
    format!(
        "{}x{} {}",
        root.get("width").unwrap(),
        root.get("height").unwrap(),
        texts.join(" ")
    )
}

#[test]
fn the_geometry_of_each_style_is_that_of_shields() {
    let check = |style, expected: &str| {
        assert_eq!(
            geometry("mirror", State::Online, style),
            expected,
            "{style:?}"
        );
    };
    check(Style::Flat, "90x20 350 350 350 350 350 350");
    check(Style::FlatSquare, "90x20 350 350");
    check(Style::Plastic, "90x18 350 350 350 350 350 350");
    check(Style::ForTheBadge, "148x28 485 515");
    check(Style::Social, "91x20 330 330 330 330");
}

#[test]
fn a_flat_badge_without_a_label_is_the_message_alone() {
    assert_eq!(
        geometry("", State::Online, Style::Flat),
        "45x20 350 350 350"
    );
    let document = read(&svg("", State::Online, Style::Flat)).unwrap();
    assert_eq!(document.tags[0].get("aria-label"), Some("Online"));
}

#[test]
fn every_badge_is_well_formed_and_names_itself() {
    let longest = "W".repeat(100);
    let labels = [
        "mirror",
        "",
        " ",
        "<script>alert(1)</script>",
        "\"&'<>",
        "]]>",
        "<!-- -->",
        "&amp;",
        "javascript:alert(1)",
        "\" onload=\"alert(1)",
        "🚀👩‍👩‍👧 déjà ß ﬁ",
        "حالة النظام",
        "שלום",
        &longest,
    ];
    for label in labels {
        for style in STYLES {
            for state in STATES {
                let image = draw(label, state, style).unwrap();
                let document = read(&image.svg)
                    .unwrap_or_else(|error| panic!("{error} for {label:?} {style:?}"));
                let root = &document.tags[0];
                assert_eq!(root.name, "svg");
                assert_eq!(root.get("xmlns"), Some("http://www.w3.org/2000/svg"));
                assert_eq!(root.get("role"), Some("img"));
                let title = document
                    .texts
                    .iter()
                    .find(|(element, _)| element == "title")
                    .map(|(_, text)| text.as_str());
                let aria_label = root.get("aria-label");
                assert_eq!(aria_label, title, "{label:?} {style:?}");
                let shown = match style {
                    Style::ForTheBadge => label.to_uppercase(),
                    Style::Social => {
                        let mut characters = label.chars();
                        let first = characters.next().map(|c| c.to_uppercase().to_string());
                        first.unwrap_or_default() + characters.as_str()
                    }
                    _ => label.to_owned(),
                };
                let message = match style {
                    Style::ForTheBadge => image.message.to_uppercase(),
                    _ => image.message.clone(),
                };
                let expected = if shown.is_empty() {
                    message
                } else {
                    format!("{shown}: {message}")
                };
                assert_eq!(aria_label, Some(expected.as_str()));
                for tag in &document.tags {
                    let known = [
                        "svg",
                        "title",
                        "g",
                        "rect",
                        "text",
                        "path",
                        "style",
                        "stop",
                        "clipPath",
                        "linearGradient",
                        "filter",
                        "feGaussianBlur",
                    ];
                    assert!(known.contains(&tag.name.as_str()), "{}", tag.name);
                    assert!(
                        tag.attributes
                            .iter()
                            .all(|(key, _)| !key.starts_with("on") && key != "href"),
                        "{tag:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_same_request_gives_the_same_bytes() {
    for style in STYLES {
        let first = draw("mirror", State::Paused, style).unwrap();
        let second = draw("mirror", State::Paused, style).unwrap();
        assert_eq!(first.svg, second.svg);
    }
}

#[test]
fn labels_of_101_characters_are_refused_and_of_100_are_not() {
    assert!(draw(&"é".repeat(100), State::Online, Style::Flat).is_ok());
    assert_eq!(
        draw(&"é".repeat(101), State::Online, Style::Flat).unwrap_err(),
        "the label has more than 100 characters: shorten it"
    );
}

#[test]
fn characters_that_break_or_reorder_text_are_refused() {
    for character in [
        '\0', '\t', '\n', '\r', '\u{1b}', '\u{7f}', '\u{85}', '\u{9f}', '\u{2028}', '\u{2029}',
        '\u{202e}', '\u{2066}', '\u{2069}', '\u{fffe}', '\u{ffff}',
    ] {
        let error = draw(&format!("a{character}b"), State::Online, Style::Flat).unwrap_err();
        assert!(
            error.contains("control character"),
            "{character:?}: {error}"
        );
    }
}

#[test]
fn the_manifest_names_this_crate_and_wants_nothing() {
    let manifest = include_str!("../../manifest.json");
    assert!(manifest.contains(concat!("\"name\": \"", env!("CARGO_PKG_NAME"), "\"")));
    assert!(manifest.contains(concat!("\"version\": \"", env!("CARGO_PKG_VERSION"), "\"")));
    assert!(manifest.contains("\"wants\": {}"));
}
