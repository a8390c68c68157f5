//! How deep a program nests, measured before it is parsed: parsers and whatever walks their trees call themselves for each level, and a stack that
//! is used up ends the component without a word.
//!
//! Three things nest: brackets, indented blocks, and operators in a row, as `1 + 1 + 1` is a tree that leans to the left. Each is counted from the
//! text alone; the counts may be too high and are not too low for anything that people write.

use formats::problem::Problems;

mod javascript;
mod python;

pub(crate) use javascript::check_javascript;
pub(crate) use python::check_python;

/// Brackets and blocks around a place. Programs have a dozen; the compilers of Python stop at 100 blocks and 200 brackets.
const MAX_LEVELS: usize = 200;

/// Operators, member accesses and prefixes in one statement that may stand inside each other. Programs that people write have some ten, tables that
/// programs wrote some 700; twice as many fit into a stack of 1 MiB.
const MAX_CHAIN: usize = 1_000;

/// What is too deep, and where it becomes so.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TooDeep {
    Levels(usize),
    Chain(usize),
}

fn report(rule: &'static str, found: &TooDeep, problems: &mut Problems) {
    match found {
        TooDeep::Levels(offset) => problems.error(
            rule,
            *offset,
            format!("nested more than {MAX_LEVELS} levels deep, which is not looked at"),
            "split it into parts with names",
        ),
        TooDeep::Chain(offset) => problems.error(
            rule,
            *offset,
            format!("more than {MAX_CHAIN} operators in one statement, which is not looked at"),
            "split it into parts, or keep the data in a list",
        ),
    }
}

/// The open brackets and what has been counted between them.
#[derive(Debug)]
struct Levels {
    /// Each open bracket with the operators that stand before it on the level around.
    open: Vec<(u8, usize)>,
    /// Operators on the innermost level.
    chain: usize,
    /// The sum over all levels.
    total: usize,
    /// Blocks around, for languages that indent.
    blocks: usize,
}

impl Levels {
    const fn new() -> Self {
        Self {
            open: Vec::new(),
            chain: 0,
            total: 0,
            blocks: 0,
        }
    }

    fn operator(&mut self, at: usize) -> Result<(), TooDeep> {
        self.chain += 1;
        self.total += 1;
        if self.total > MAX_CHAIN {
            return Err(TooDeep::Chain(at));
        }
        Ok(())
    }

    /// A new part on the same level: what stood before is beside it and not around it.
    const fn next_part(&mut self) {
        self.total -= self.chain;
        self.chain = 0;
    }

    fn push(&mut self, bracket: u8, at: usize) -> Result<(), TooDeep> {
        self.operator(at)?;
        self.open.push((bracket, self.chain));
        self.chain = 0;
        if self.open.len() + self.blocks > MAX_LEVELS {
            return Err(TooDeep::Levels(at));
        }
        Ok(())
    }

    /// Closes the innermost bracket if it is of the kind; a bracket that closes nothing opens nothing.
    fn pop(&mut self, bracket: u8) -> bool {
        match self.open.last() {
            Some((last, chain)) if *last == bracket => {
                self.total -= self.chain;
                self.chain = *chain;
                self.open.pop();
                true
            }
            _ => false,
        }
    }
}

const fn opening(closing: u8) -> u8 {
    match closing {
        b')' => b'(',
        b']' => b'[',
        _ => b'{',
    }
}

#[cfg(test)]
mod tests;
