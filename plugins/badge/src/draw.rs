//! Turns a request into an image: checks the label, picks text and colour by state, and lets `shields` draw.
//!
//! The label is the only text from outside; it reaches the SVG escaped, and never as a link, a colour or a logo.

// Without the export there is no caller but the tests.
#![cfg_attr(
    not(any(target_arch = "wasm32", test)),
    expect(dead_code, reason = "called by the component's export only")
)]

use crate::bindings::exports::infinity::agent::badge::{Image, Request, State, Style};
use shields::{BadgeParams, BadgeStyle, render_badge_svg};

/// The longest label, in characters: what the contract says, and about as wide as a page.
const LABEL_MAX_CHARS: usize = 100;

/// The right text and its colour, a colour name of shields.io.
const fn message_and_color(state: State) -> (&'static str, &'static str) {
    match state {
        State::Paused => ("Paused", "orange"),
        State::Error => ("Error", "red"),
        State::Generating => ("Generating", "blue"),
        State::Deployed => ("Deployed", "green"),
        State::Online => ("Online", "green"),
    }
}

const fn shields_style(style: Style) -> BadgeStyle {
    match style {
        Style::Flat => BadgeStyle::Flat,
        Style::FlatSquare => BadgeStyle::FlatSquare,
        Style::Plastic => BadgeStyle::Plastic,
        Style::ForTheBadge => BadgeStyle::ForTheBadge,
        Style::Social => BadgeStyle::Social,
    }
}

/// Whether a character has no place in a line of text: control characters and the two that XML 1.0 forbids, which would make the SVG
/// unreadable, line separators, and the controls that reorder the text around them, which could make a badge read as another one.
const fn is_refused(character: char) -> bool {
    matches!(
        character,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{fffe}'
            | '\u{ffff}'
    )
}

/// Draws a badge.
///
/// # Errors
/// A sentence for people when the label is longer than [`LABEL_MAX_CHARS`] or holds a refused character.
pub(crate) fn render(request: &Request) -> Result<Image, String> {
    let label = request.label.as_str();
    // One byte per character at least, so the count stops early on a label of megabytes.
    if label.chars().nth(LABEL_MAX_CHARS).is_some() {
        return Err("the label has more than 100 characters: shorten it".to_owned());
    }
    if label.chars().any(is_refused) {
        return Err(
            "the label has a control character: use letters, digits, punctuation and spaces only"
                .to_owned(),
        );
    }
    let (message, color) = message_and_color(request.state);
    let svg = render_badge_svg(&BadgeParams {
        style: shields_style(request.style),
        message_color: Some(color),
        ..BadgeParams::new(label, message)
    });
    Ok(Image {
        svg,
        message: message.to_owned(),
        color: color.to_owned(),
    })
}

#[cfg(test)]
mod tests;
