//! The rules of the last comparison, as the index remembers them for those who ask later why a path is left out.

use replicat_fs::filter::{Action, Filter, Rule, RuleSource};

use super::local::LocalReplica;
use crate::error::SyncError;

/// The setting under which the rules are kept.
const SETTING_RULES: &str = "rules";

impl LocalReplica {
    /// Has the index remember the rules.
    pub(super) fn keep_rules(&mut self) -> Result<(), SyncError> {
        let text = encode(&self.filter);
        let kept = self.setting(SETTING_RULES)?;
        if kept.unwrap_or_default() == text {
            return Ok(());
        }
        let value = (!text.is_empty()).then_some(text.as_slice());
        self.set_setting(SETTING_RULES, value)
    }

    /// The filter that the index remembers.
    pub(super) fn kept_filter(&self) -> Result<Filter, SyncError> {
        let text = self.setting(SETTING_RULES)?.unwrap_or_default();
        // What another version wrote and this one cannot read explains nothing.
        let filter = Filter::new(decode(&text).unwrap_or_default());
        Ok(filter.within(self.kept_selection()?.selection))
    }
}

/// For each rule its action, and the lengths and bytes of its source and of its pattern.
fn encode(filter: &Filter) -> Vec<u8> {
    let mut text = Vec::new();
    for rule in filter.rules() {
        text.push(match rule.action() {
            Action::Include => b'+',
            Action::Exclude => b'-',
        });
        let source = rule.source().map(ToString::to_string).unwrap_or_default();
        for part in [source.as_bytes(), rule.pattern()] {
            text.extend(format!("{}:", part.len()).into_bytes());
            text.extend(part);
        }
    }
    text
}

fn decode(mut text: &[u8]) -> Option<Vec<Rule>> {
    let mut rules = Vec::new();
    while let Some((action, rest)) = text.split_first() {
        let action = match action {
            b'+' => Action::Include,
            b'-' => Action::Exclude,
            _ => return None,
        };
        let (source, rest) = part(rest)?;
        let (pattern, rest) = part(rest)?;
        let rule = Rule::new(action, pattern).ok()?;
        let source = String::from_utf8_lossy(source);
        rules.push(match source.is_empty() {
            true => rule,
            false => rule.from_source(RuleSource::Named(source.into())),
        });
        text = rest;
    }
    Some(rules)
}

/// What comes after its length, and what follows it.
fn part(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = text.iter().position(|&byte| byte == b':')?;
    let length: usize = std::str::from_utf8(&text[..colon]).ok()?.parse().ok()?;
    text[colon + 1..].split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_survive_the_index() {
        let named = |rule: Rule, name: &str| rule.from_source(RuleSource::Named(name.into()));
        let rules = vec![
            named(
                Rule::new(Action::Exclude, b"a:1\n\xff*").unwrap(),
                "--exclude",
            ),
            Rule::new(Action::Include, b"/3:x/").unwrap(),
        ];
        let text = encode(&Filter::new(rules.clone()));
        assert_eq!(decode(&text), Some(rules));
        assert_eq!(decode(&text[..text.len() - 1]), None);
        assert_eq!(decode(b"-9999:x"), None);
        assert_eq!(decode(b""), Some(Vec::new()));
    }
}
