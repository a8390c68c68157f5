//! Python, by the parser's own lexer: it alone knows where an f-string ends.

use super::{Levels, TooDeep, report};
use formats::problem::Problems;
use ruff_python_ast::token::TokenKind;
use ruff_python_parser::Mode;
use ruff_python_parser::lexer::lex;

/// Whether a module is too deep to be parsed, which is then reported.
pub(crate) fn check_python(text: &str, problems: &mut Problems) -> bool {
    let Err(found) = measure(text) else {
        return false;
    };
    // The lexer keeps its position to itself. The first line that is too deep is found by halving: the shorter the text, the less deep it is.
    let ends: Vec<usize> = text
        .bytes()
        .enumerate()
        .filter_map(|(at, byte)| (byte == b'\n').then_some(at + 1))
        .collect();
    let first =
        ends.partition_point(|&end| text.get(..end).is_none_or(|part| measure(part).is_ok()));
    let start = match first {
        0 => 0,
        first => ends.get(first - 1).copied().unwrap_or(0),
    };
    let found = match found {
        TooDeep::Levels(_) => TooDeep::Levels(start),
        TooDeep::Chain(_) => TooDeep::Chain(start),
    };
    report("python/too-deep", &found, problems);
    true
}

pub(super) fn measure(text: &str) -> Result<(), TooDeep> {
    let mut lexer = lex(text, Mode::Module);
    let mut levels = Levels::new();
    // The commas between the parameters of a `lambda` end nothing.
    let mut in_lambda = false;
    let mut after_value = false;
    loop {
        let kind = lexer.next_token();
        match kind {
            TokenKind::EndOfFile => return Ok(()),
            TokenKind::Lpar => levels.push(b'(', 0)?,
            TokenKind::Lsqb => levels.push(b'[', 0)?,
            TokenKind::Lbrace => levels.push(b'{', 0)?,
            TokenKind::FStringStart | TokenKind::TStringStart => levels.push(b'"', 0)?,
            TokenKind::Rpar => _ = levels.pop(b'('),
            TokenKind::Rsqb => _ = levels.pop(b'['),
            TokenKind::Rbrace => _ = levels.pop(b'{'),
            TokenKind::FStringEnd | TokenKind::TStringEnd => {
                while levels
                    .open
                    .last()
                    .is_some_and(|(bracket, _)| *bracket != b'"')
                {
                    let Some((bracket, _)) = levels.open.last().copied() else {
                        break;
                    };
                    levels.pop(bracket);
                }
                levels.pop(b'"');
            }
            TokenKind::Indent => {
                levels.blocks += 1;
                if levels.open.len() + levels.blocks > super::MAX_LEVELS {
                    return Err(TooDeep::Levels(0));
                }
            }
            TokenKind::Dedent => levels.blocks = levels.blocks.saturating_sub(1),
            TokenKind::Newline | TokenKind::Semi => {
                in_lambda = false;
                levels.next_part();
            }
            TokenKind::Comma if !in_lambda => levels.next_part(),
            TokenKind::Lambda => {
                in_lambda = true;
                levels.operator(0)?;
            }
            TokenKind::Colon => {
                in_lambda = false;
                levels.operator(0)?;
            }
            TokenKind::Not => {
                levels.operator(0)?;
                levels.operator(0)?;
            }
            TokenKind::Dot
            | TokenKind::Await
            | TokenKind::If
            | TokenKind::Else
            | TokenKind::For
            | TokenKind::In
            | TokenKind::Is
            | TokenKind::And
            | TokenKind::Or
            | TokenKind::Yield
            | TokenKind::From
            | TokenKind::ColonEqual
            | TokenKind::As => levels.operator(0)?,
            // The targets of an assignment stand beside each other.
            TokenKind::Equal => {}
            other if other.is_operator() => {
                levels.operator(0)?;
                // An operator before a value takes twice the stack of one between values.
                if !after_value {
                    levels.operator(0)?;
                }
            }
            _ => {}
        }
        if !kind.is_trivia() {
            after_value = is_value_end(kind);
        }
    }
}

/// Whether a value may end with a token, so that an operator behind it stands between two.
const fn is_value_end(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::Name
            | TokenKind::Int
            | TokenKind::Float
            | TokenKind::Complex
            | TokenKind::String
            | TokenKind::FStringEnd
            | TokenKind::TStringEnd
            | TokenKind::Rpar
            | TokenKind::Rsqb
            | TokenKind::Rbrace
            | TokenKind::True
            | TokenKind::False
            | TokenKind::None
            | TokenKind::Ellipsis
    )
}
