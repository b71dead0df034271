//! What is around a token: the method, the target, and the field lines.

use scopegate_spec::Request;

use crate::world::{TOKEN_HEADER, World};

/// The field lines and the target of a request.
#[derive(Clone, Debug)]
pub struct Head {
    /// The method.
    pub method: &'static str,
    /// The path.
    pub path: &'static str,
    /// Where the token is.
    pub place: Place,
    /// The scheme.
    pub scheme: &'static str,
    /// What is between scheme and token.
    pub separator: &'static str,
    /// What follows the token.
    pub suffix: &'static str,
    /// Other field lines; `None` for a line with the token's value.
    pub lines: Vec<(&'static str, Option<&'static str>)>,
    /// The query.
    pub query: Option<&'static str>,
}

/// Where a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs)]
pub enum Place {
    Authorization,
    NamedHeader,
    Nowhere,
}

impl Head {
    /// The request with a token.
    pub fn request(&self, token: &str, world: &World) -> Request {
        let is_named = self.place == Place::NamedHeader && world.token_header;
        let with_suffix = format!("{token}{}", self.suffix);
        let credentials = format!("{}{}{with_suffix}", self.scheme, self.separator);
        let mut headers = Vec::new();
        let mut push = |name: &str, value: &str| {
            // An HTTP stack removes white space around a value before anything sees it.
            let value = value.trim_matches([' ', '\t']);
            let value = if name == "authorization" && has_open_scheme(value, world) { "Basic eDp5" } else { value };
            headers.push((name.to_owned(), value.as_bytes().to_vec()));
        };
        match self.place {
            Place::Authorization => push("authorization", &credentials),
            Place::NamedHeader => push(TOKEN_HEADER, &with_suffix),
            Place::Nowhere => {}
        }
        for (name, value) in &self.lines {
            // It is open what a token in both header fields means.
            let is_both = match *name {
                "authorization" => is_named,
                TOKEN_HEADER => world.token_header && !is_named,
                _ => false,
            };
            if !is_both {
                push(name, value.unwrap_or(if *name == TOKEN_HEADER { &with_suffix } else { &credentials }));
            }
        }
        let uri = self.query.map_or_else(|| self.path.to_owned(), |query| format!("{}?{query}", self.path));
        Request { method: self.method.to_owned(), uri, headers, certificate: None }
    }
}

/// Whether a line begins like a scheme, but has something else than a space behind it. It is open whether that scheme was used.
fn has_open_scheme(value: &str, world: &World) -> bool {
    let word = value.split(' ').next().unwrap_or_default();
    let is_token = |character: char| character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(character);
    let name = &word[..word.find(|character| !is_token(character)).unwrap_or(word.len())];
    name != word && !name.is_empty() && (!name.eq_ignore_ascii_case("bearer") || world.proofs.is_some())
}
