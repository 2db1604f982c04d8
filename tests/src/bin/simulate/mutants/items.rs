//! The functions and constants of a source text, and their positions.

use std::ops::Range;
use std::str::FromStr;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// A token of the text. Comments and the contents of literals are not tokens.
pub(super) struct Token {
    kind: Kind,
    pub(super) at: Range<usize>,
}

#[derive(PartialEq)]
enum Kind {
    Word(String),
    Sign(char),
    /// Starts a group; holds the index of the token that ends it.
    Open(char, usize),
    Close,
    Literal,
}

impl Token {
    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(&self.kind, Kind::Word(own) if own == word)
    }

    pub(super) fn word(&self) -> Option<&str> {
        if let Kind::Word(word) = &self.kind { Some(word) } else { None }
    }

    pub(super) fn is_sign(&self, sign: char) -> bool {
        self.kind == Kind::Sign(sign)
    }

    pub(super) fn opens(&self, with: char) -> bool {
        matches!(self.kind, Kind::Open(own, _) if own == with)
    }
}

/// The tokens of a text, or `None` if it is not Rust.
pub(super) fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut all = Vec::new();
    flatten(TokenStream::from_str(text).ok()?, &mut all);
    Some(all)
}

fn flatten(stream: TokenStream, all: &mut Vec<Token>) {
    for tree in stream {
        let at = tree.span().byte_range();
        let kind = match tree {
            TokenTree::Ident(word) => Kind::Word(word.to_string()),
            TokenTree::Punct(sign) => Kind::Sign(sign.as_char()),
            TokenTree::Literal(_) => Kind::Literal,
            TokenTree::Group(group) => {
                flatten_group(&group, all);
                continue;
            }
        };
        all.push(Token { kind, at });
    }
}

fn flatten_group(group: &Group, all: &mut Vec<Token>) {
    let with = match group.delimiter() {
        Delimiter::Parenthesis => '(',
        Delimiter::Brace => '{',
        Delimiter::Bracket => '[',
        Delimiter::None => ' ',
    };
    let begin = all.len();
    all.push(Token { kind: Kind::Open(with, begin), at: group.span_open().byte_range() });
    flatten(group.stream(), all);
    let end = all.len();
    all.push(Token { kind: Kind::Close, at: group.span_close().byte_range() });
    all[begin].kind = Kind::Open(with, end);
}

/// A function with a body, or a constant with a value.
pub(super) struct Item {
    pub(super) name: String,
    /// The type whose `impl` contains it.
    pub(super) owner: Option<String>,
    pub(super) is_public: bool,
    /// The position of `const`.
    pub(super) constant: Option<Range<usize>>,
    /// The other parts of a constant.
    pub(super) declared: Option<Declared>,
    /// The body with its braces, or the value.
    pub(super) body: Range<usize>,
    /// The same as token indexes.
    pub(super) tokens: Range<usize>,
}

/// The positions of the parts of `const NAME: TYPE = VALUE;`.
pub(super) struct Declared {
    /// The colon.
    pub(super) colon: Range<usize>,
    /// The equals sign.
    pub(super) equals: Range<usize>,
    /// The semicolon.
    pub(super) end: Range<usize>,
}

/// The items of a text in order, except those inside functions.
pub(super) fn items(tokens: &[Token]) -> Vec<Item> {
    let impls = impls(tokens);
    let mut found = Vec::new();
    let mut next = 0;
    while let Some(token) = tokens.get(next) {
        let item = match token.word() {
            Some("fn") => function(tokens, next),
            Some("const") => constant(tokens, next),
            _ => None,
        };
        let owner = owner(&impls, next).map(str::to_owned);
        next = item.as_ref().map_or(next + 1, |item| item.tokens.end);
        found.extend(item.map(|item| Item { owner, ..item }));
    }
    found
}

/// The `impl` blocks, as token ranges, with their types.
pub(super) fn impls(tokens: &[Token]) -> Vec<(Range<usize>, String)> {
    let words = tokens.iter().enumerate().filter(|(_, token)| token.is_word("impl"));
    words.filter_map(|(at, _)| implemented(tokens, at)).collect()
}

/// The type whose `impl` contains the token.
pub(super) fn owner(impls: &[(Range<usize>, String)], at: usize) -> Option<&str> {
    impls.iter().find(|(block, _)| block.contains(&at)).map(|(_, owner)| owner.as_str())
}

/// The first token at or after an index, outside nested groups, that satisfies a condition.
fn beside(tokens: &[Token], from: usize, is_it: impl Fn(&Token) -> bool) -> Option<usize> {
    let mut next = from;
    loop {
        let token = tokens.get(next)?;
        match token.kind {
            _ if is_it(token) => return Some(next),
            Kind::Open(_, end) => next = end + 1,
            Kind::Close => return None,
            _ => next += 1,
        }
    }
}

fn function(tokens: &[Token], at: usize) -> Option<Item> {
    let name = tokens.get(at + 1)?.word()?.to_owned();
    let open = beside(tokens, at, |token| token.opens('{') || token.is_sign(';'))?;
    let Kind::Open(_, close) = tokens[open].kind else { return None };
    let qualifiers = tokens[..at].iter().rev();
    let constant = qualifiers
        .take_while(|token| {
            token.kind == Kind::Literal
                || token.word().is_some_and(|word| ["async", "const", "extern", "unsafe"].contains(&word))
        })
        .find(|token| token.is_word("const"));
    Some(Item {
        name,
        owner: None,
        is_public: false,
        constant: constant.map(|token| token.at.clone()),
        declared: None,
        body: tokens[open].at.start..tokens[close].at.end,
        tokens: open..close + 1,
    })
}

fn constant(tokens: &[Token], at: usize) -> Option<Item> {
    let name = tokens.get(at + 1)?.word()?.to_owned();
    let colon = tokens.get(at + 2).filter(|token| token.is_sign(':'))?;
    // A generic parameter looks the same, but ends with neither.
    let equals = beside(tokens, at, |token| token.is_sign('=') || token.opens('{'))?;
    if !tokens[equals].is_sign('=') {
        return None;
    }
    let end = beside(tokens, equals, |token| token.is_sign(';'))?;
    let is_public = match tokens[..at].last().map(|token| &token.kind) {
        Some(Kind::Word(word)) => word == "pub",
        // `pub(crate)`: nothing else before a constant ends with a parenthesis.
        Some(Kind::Close) => at >= 4 && tokens[at - 4].is_word("pub"),
        _ => false,
    };
    Some(Item {
        name,
        owner: None,
        is_public,
        constant: Some(tokens[at].at.clone()),
        declared: Some(Declared {
            colon: colon.at.clone(),
            equals: tokens[equals].at.clone(),
            end: tokens[end].at.clone(),
        }),
        body: tokens[equals].at.end..tokens[end].at.start,
        tokens: equals + 1..end,
    })
}

fn implemented(tokens: &[Token], at: usize) -> Option<(Range<usize>, String)> {
    let open = beside(tokens, at, |token| token.opens('{'))?;
    let Kind::Open(_, end) = tokens[open].kind else { return None };
    let mut depth = 0_usize;
    let mut owner = None;
    for token in &tokens[at + 1..open] {
        match &token.kind {
            Kind::Sign('<') => depth += 1,
            Kind::Sign('>') => depth = depth.saturating_sub(1),
            Kind::Word(word) if word == "where" => break,
            Kind::Word(word) if depth == 0 => owner = Some(word.clone()),
            _ => {}
        }
    }
    Some((open..end, owner?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        use std::fmt;
        /// const A: fn = "fn b() {}";
        pub(crate) const LIMIT: Duration = Duration::from_secs(2);
        impl<T: Fn() -> u8, const N: usize> fmt::Display for Held<T, N> where T: Copy {
            const OWN: &str = "; const B: u8 = 1;";
            pub const fn held(&self) -> bool { fn inner() {} self.0 == [1; 2] }
        }
        trait Port { fn unwritten(&self); fn written(&self) -> fn(u8) { /* } */ call }
        }
    "#;

    fn told() -> Vec<String> {
        let tokens = tokens(TEXT).unwrap();
        let told = |item: Item| {
            let owner = item.owner.map(|owner| owner + "::").unwrap_or_default();
            let is_constant = if item.constant.is_some() { "const " } else { "" };
            let is_public = if item.is_public { "pub " } else { "" };
            format!("{is_public}{is_constant}{owner}{} {}", item.name, TEXT[item.body].trim())
        };
        items(&tokens).into_iter().map(told).collect()
    }

    #[test]
    fn functions_and_constants_are_found() {
        assert_eq!(
            told(),
            [
                "pub const LIMIT Duration::from_secs(2)",
                "const Held::OWN \"; const B: u8 = 1;\"",
                "const Held::held { fn inner() {} self.0 == [1; 2] }",
                "written { /* } */ call }",
            ]
        );
    }

    #[test]
    fn what_is_no_rust_has_no_tokens() {
        assert!(tokens("fn unclosed() {").is_none());
    }
}
