//! What the rules ask of a Rust source file: its functions, and which of its lines are tests.

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// A function: its name, the line it starts at and how many it has, from signature to closing brace.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) line_count: usize,
}

/// A parsed Rust file.
pub(crate) struct Source {
    pub(crate) functions: Vec<Function>,
    /// The names of modules that are tests and lie in files of their own.
    pub(crate) test_modules: Vec<String>,
    /// Per line, from the first: whether it belongs to a test.
    is_test: Vec<bool>,
}

impl Source {
    /// Parses the text of a Rust file; `None` if it is not Rust.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let file = syn::parse_file(text).ok()?;
        let mut source = Self {
            functions: Vec::new(),
            test_modules: Vec::new(),
            is_test: vec![false; text.lines().count() + 1],
        };
        source.visit_file(&file);
        Some(source)
    }

    /// Whether line `number`, counted from 1, belongs to a test.
    pub(crate) fn is_test(&self, number: usize) -> bool {
        self.is_test.get(number - 1).copied().unwrap_or(false)
    }

    /// How many lines are not tests.
    pub(crate) fn line_count(&self, text: &str) -> usize {
        (1..=text.lines().count())
            .filter(|&number| !self.is_test(number))
            .count()
    }

    fn mark_test(&mut self, span: Span) {
        for number in span.start().line..=span.end().line {
            self.is_test[number - 1] = true;
        }
    }

    fn note(&mut self, signature: &syn::Signature, body: &syn::Block) {
        let line = signature.span().start().line;
        self.functions.push(Function {
            name: signature.ident.to_string(),
            line,
            line_count: body.span().end().line - line + 1,
        });
    }
}

impl<'ast> Visit<'ast> for Source {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if attributes(item).iter().any(marks_test) {
            self.mark_test(item.span());
            if let syn::Item::Mod(module) = item
                && module.content.is_none()
            {
                self.test_modules.push(module.ident.to_string());
            }
        }
        visit::visit_item(self, item);
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.note(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.note(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(body) = &function.default {
            self.note(&function.sig, body);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// `#[test]` or `#[cfg(test)]`.
fn marks_test(attribute: &syn::Attribute) -> bool {
    if attribute.path().is_ident("test") {
        return true;
    }
    attribute.path().is_ident("cfg")
        && attribute
            .parse_args::<syn::Ident>()
            .is_ok_and(|condition| condition == "test")
}

#[test]
fn finds_functions_and_tells_tests_apart() {
    let text = "fn one() {\n    two()\n}\n#[cfg(test)]\nmod tests {\n    fn three() {}\n}\n\
        #[cfg(test)]\nmod more;\n";
    let source = Source::parse(text).unwrap();
    let found: Vec<_> = source
        .functions
        .iter()
        .map(|function| (function.name.as_str(), function.line, function.line_count))
        .collect();
    assert_eq!(found, [("one", 1, 3), ("three", 6, 1)]);
    assert!(!source.is_test(3) && source.is_test(4) && source.is_test(7));
    assert_eq!(source.line_count(text), 3);
    assert_eq!(source.test_modules, ["more"]);
}
