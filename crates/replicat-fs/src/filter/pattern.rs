//! Patterns as rsync's `--exclude` takes them, over raw bytes.
//!
//! Matching simulates a nondeterministic automaton (Thompson, 1968), so that no pattern takes longer than its
//! length times the path's.

use thiserror::Error;

/// The longest pattern in bytes.
pub const PATTERN_BYTES_MAX: usize = 4096;

/// Why some text is not a pattern.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PatternError {
    /// Nothing is left of it without slashes.
    #[error("pattern {0:?} names nothing; write the name of what it should match")]
    Empty(String),
    /// A `[` without its `]`.
    #[error("pattern {0:?} has an unclosed `[`; close it, or write `\\[` for the character itself")]
    UnclosedClass(String),
    /// It is too long.
    #[error("a pattern of {0} bytes is over the limit of {PATTERN_BYTES_MAX}")]
    TooLong(usize),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// This byte.
    Literal(u8),
    /// Any byte but a slash.
    AnyByte,
    /// One of these ranges, or none of them; never a slash.
    Class {
        ranges: Vec<(u8, u8)>,
        is_negated: bool,
    },
    /// Any bytes but slashes.
    Star,
    /// Any bytes.
    DoubleStar,
    /// Any number of whole directories, each with its slash.
    Directories,
    /// Nothing, or a slash and any bytes.
    Below,
}

/// Against what a pattern is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Anchor {
    /// The last component.
    Name,
    /// The whole path.
    Root,
    /// The end of the path, from any component on.
    AnyComponent,
}

/// A pattern, ready to match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    tokens: Vec<Token>,
    anchor: Anchor,
    directories_only: bool,
}

impl Pattern {
    /// Reads a pattern: a leading slash anchors it at the root, a trailing one restricts it to directories; without
    /// another slash or `**` it is held against names.
    pub(super) fn parse(text: &[u8]) -> Result<Self, PatternError> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(PatternError::TooLong(text.len()));
        }
        let shown = || String::from_utf8_lossy(text).into_owned();
        let directories_only = text.ends_with(b"/");
        let body = text.strip_suffix(b"/").unwrap_or(text);
        let (body, is_anchored) = match body.strip_prefix(b"/") {
            Some(rest) => (rest, true),
            None => (body, false),
        };
        if body.iter().all(|&byte| byte == b'/') {
            return Err(PatternError::Empty(shown()));
        }
        let has_path = body.contains(&b'/') || body.windows(2).any(|pair| pair == b"**");
        let tokens = tokens(body).ok_or_else(|| PatternError::UnclosedClass(shown()))?;
        let anchor = match (is_anchored, has_path) {
            (true, _) => Anchor::Root,
            (false, true) => Anchor::AnyComponent,
            (false, false) => Anchor::Name,
        };
        Ok(Self {
            tokens,
            anchor,
            directories_only,
        })
    }

    /// Whether the pattern matches `path`, relative to the root.
    pub(super) fn matches(&self, path: &[u8], is_directory: bool) -> bool {
        if self.directories_only && !is_directory {
            return false;
        }
        let starts = path.iter().enumerate().filter(|&(_, &byte)| byte == b'/');
        let mut starts = starts.map(|(at, _)| at + 1);
        match self.anchor {
            Anchor::Root => self.matches_whole(path),
            Anchor::Name => self.matches_whole(&path[starts.next_back().unwrap_or(0)..]),
            Anchor::AnyComponent => {
                self.matches_whole(path) || starts.any(|at| self.matches_whole(&path[at..]))
            }
        }
    }

    fn matches_whole(&self, text: &[u8]) -> bool {
        if !self.has_literal_ends_of(text) {
            return false;
        }
        let mut states = vec![State::Absent; self.tokens.len() + 1];
        let mut next = states.clone();
        self.enter(&mut states, 0);
        for &byte in text {
            next.fill(State::Absent);
            for (at, token) in self.tokens.iter().enumerate() {
                if states[at] != State::Absent {
                    self.step(&mut next, at, token, byte);
                }
            }
            std::mem::swap(&mut states, &mut next);
        }
        states[self.tokens.len()] != State::Absent
    }

    /// Whether `text` begins and ends with the bytes that every match begins and ends with. Tells most names apart
    /// without an allocation.
    fn has_literal_ends_of(&self, text: &[u8]) -> bool {
        let agrees = |(token, byte): (&Token, &u8)| match token {
            Token::Literal(wanted) => Some(wanted == byte),
            _ => None,
        };
        let head = self.tokens.iter().zip(text).map_while(agrees);
        let tail = self.tokens.iter().rev().zip(text.iter().rev());
        head.chain(tail.map_while(agrees)).all(|agreed| agreed)
    }

    /// Enters the state before token `at`, and those that it leads to for nothing.
    fn enter(&self, states: &mut [State], at: usize) {
        let mut at = at;
        loop {
            states[at] = State::Present;
            match self.tokens.get(at) {
                Some(Token::Star | Token::DoubleStar | Token::Directories) => at += 1,
                // Nothing at all: the pattern ends here, and not before the bytes that follow a slash.
                Some(Token::Below) => at = self.tokens.len(),
                _ => return,
            }
        }
    }

    fn step(&self, next: &mut [State], at: usize, token: &Token, byte: u8) {
        match token {
            Token::Literal(wanted) if *wanted == byte => self.enter(next, at + 1),
            Token::AnyByte if byte != b'/' => self.enter(next, at + 1),
            Token::Class { ranges, is_negated } if byte != b'/' => {
                let is_listed = ranges
                    .iter()
                    .any(|&(low, high)| (low..=high).contains(&byte));
                if is_listed != *is_negated {
                    self.enter(next, at + 1);
                }
            }
            Token::Star if byte != b'/' => self.enter(next, at),
            Token::DoubleStar => self.enter(next, at),
            Token::Directories if byte == b'/' => self.enter(next, at),
            Token::Directories if next[at] == State::Absent => next[at] = State::Inside,
            Token::Below if byte == b'/' => self.enter(next, at + 1),
            _ => {}
        }
    }
}

/// Whether the automaton may be before a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is not.
    Absent,
    /// It is.
    Present,
    /// It is in the middle of a component that [`Token::Directories`] takes.
    Inside,
}

/// Reads the tokens of a pattern; `None` if a class is not closed.
fn tokens(mut text: &[u8]) -> Option<Vec<Token>> {
    let mut tokens = Vec::with_capacity(text.len());
    let mut at_component = true;
    while let Some((&first, rest)) = text.split_first() {
        let starts_component = at_component;
        at_component = first == b'/';
        if text == b"/***" {
            tokens.extend([Token::Below, Token::DoubleStar]);
            return Some(tokens);
        }
        if let (true, Some(rest)) = (starts_component, text.strip_prefix(b"**/")) {
            tokens.push(Token::Directories);
            (text, at_component) = (rest, true);
            continue;
        }
        text = match (first, rest) {
            (b'*', [b'*', ..]) => {
                tokens.push(Token::DoubleStar);
                &text[text.iter().take_while(|&&byte| byte == b'*').count()..]
            }
            (b'*', _) => {
                tokens.push(Token::Star);
                rest
            }
            (b'?', _) => {
                tokens.push(Token::AnyByte);
                rest
            }
            (b'[', _) => {
                let (class, rest) = class(rest)?;
                tokens.push(class);
                rest
            }
            (b'\\', [escaped, rest @ ..]) => {
                tokens.push(Token::Literal(*escaped));
                rest
            }
            _ => {
                tokens.push(Token::Literal(first));
                rest
            }
        };
    }
    Some(tokens)
}

/// Reads a class after its `[`; also gives what follows it.
fn class(text: &[u8]) -> Option<(Token, &[u8])> {
    let (mut text, is_negated) = match text {
        [b'!' | b'^', rest @ ..] => (rest, true),
        _ => (text, false),
    };
    let mut ranges = Vec::new();
    loop {
        let (low, rest) = match text {
            // A `]` in the first place is a member.
            [b']', rest @ ..] if !ranges.is_empty() => {
                return Some((Token::Class { ranges, is_negated }, rest));
            }
            [b'\\', byte, rest @ ..] | [byte, rest @ ..] => (*byte, rest),
            [] => return None,
        };
        let (high, rest) = match rest {
            [b'-', b'\\', high, rest @ ..] => (*high, rest),
            [b'-', high, rest @ ..] if *high != b']' => (*high, rest),
            _ => (low, rest),
        };
        ranges.push((low, high));
        text = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        let directories_only = path.ends_with('/');
        let path = path.strip_suffix('/').unwrap_or(path);
        Pattern::parse(pattern.as_bytes())
            .unwrap()
            .matches(path.as_bytes(), directories_only)
    }

    #[test]
    fn matches_as_rsync_does() {
        for (pattern, path, expected) in [
            ("*.o", "a.o", true),
            ("*.o", "deep/er/a.o", true),
            ("*.o", "a.oo", false),
            ("/a", "a", true),
            ("/a", "b/a", false),
            ("a/", "a", false),
            ("a/", "a/", true),
            ("a/", "x/a/", true),
            ("a/b", "a/b", true),
            ("a/b", "x/a/b", true),
            ("a/b", "xa/b", false),
            ("/a/*", "a/b", true),
            ("/a/*", "a/b/c", false),
            ("/a/**", "a/b/c", true),
            ("/a/**", "a", false),
            ("/a/***", "a", true),
            ("/a/***", "a/b/c", true),
            ("/a/***", "ab", false),
            ("**/a", "a", true),
            ("**/a", "x/y/a", true),
            ("**/a", "xa", false),
            ("/x/**/a", "x/a", true),
            ("/x/**/a", "x/y/z/a", true),
            ("/x/**/a", "x/ya", false),
            ("x**z", "x/y/z", true),
            ("?", "a", true),
            ("a?b", "a/b", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]", "]", true),
            ("[a-]", "-", true),
            (r"\*", "*", true),
            (r"\*", "a", false),
            (r"[\]]", "]", true),
            ("a b ", "a b ", true),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern:?} on {path:?}");
        }
    }

    #[test]
    fn matches_bytes_that_are_no_text() {
        let pattern = Pattern::parse(b"\xff*").unwrap();
        assert!(pattern.matches(b"x/\xff\xfe", false));
        assert!(!pattern.matches(b"x/\xfe\xff", false));
    }

    #[test]
    fn takes_no_longer_for_many_stars() {
        let pattern = Pattern::parse("*a".repeat(200).as_bytes()).unwrap();
        assert!(!pattern.matches("a".repeat(199).as_bytes(), false));
    }

    #[test]
    fn refuses_what_matches_nothing() {
        for bad in ["", "/", "//", "[a", "[!]"] {
            assert!(
                Pattern::parse(bad.as_bytes()).is_err(),
                "{bad:?} was accepted"
            );
        }
    }
}
