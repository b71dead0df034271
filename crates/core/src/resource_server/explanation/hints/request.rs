//! What may be wrong with a request in which no token was found.

use std::borrow::Cow;

use http::header::AUTHORIZATION;

use super::Hint;
use crate::{refusal::Reason, request::RequestHead, resource_server::explanation::remedy::client};

type OfRequest = fn(Option<Reason>, RequestHead<'_>) -> Option<Hint>;

/// The hints of a request that is refused for this reason, or that came without credentials; the first one is given.
pub(super) const HINTS: &[OfRequest] =
    &[token_in_the_query, no_scheme, no_token, in_quotation_marks, scheme_twice, other_scheme];

const ABOUT: &[Reason] = &[Reason::MalformedCredentials, Reason::MissingCredentials];

/// An `Authorization` header in which there is no token, as a scheme and the rest.
fn header<'r>(reason: Option<Reason>, request: &RequestHead<'r>) -> Option<(Cow<'r, str>, usize)> {
    let is_unread = matches!(reason, None | Some(Reason::MalformedCredentials));
    let value = request.headers().get(AUTHORIZATION).filter(|_| is_unread)?;
    let value = String::from_utf8_lossy(value.as_bytes());
    let scheme = value.find(' ').unwrap_or(value.len());
    Some((value, scheme))
}

/// Whether what follows the scheme is like this.
fn follows(reason: Option<Reason>, request: &RequestHead<'_>, is_it: impl Fn(&str, &str) -> bool) -> bool {
    header(reason, request).is_some_and(|(value, scheme)| is_it(&value[..scheme], value[scheme..].trim()))
}

fn hint(text: &'static str, remedy: &'static str) -> Hint {
    Hint::new(ABOUT, text).with(client(remedy))
}

fn token_in_the_query(reason: Option<Reason>, request: RequestHead<'_>) -> Option<Hint> {
    let in_query = request.uri().query().is_some_and(|query| query.contains("access_token="));
    (reason.is_none() && in_query && !request.headers().contains_key(AUTHORIZATION)).then(|| {
        hint(
            "there is a token in the query of the URL, where none is read, since URLs are logged (RFC 9700 section 4.3.2)",
            "send the token as `Authorization: Bearer <token>`",
        )
    })
}

fn no_scheme(reason: Option<Reason>, request: RequestHead<'_>) -> Option<Hint> {
    follows(reason, &request, |scheme, _| scheme.starts_with("eyJ")).then(|| {
        hint(
            "the header begins with the token, and a scheme is missing",
            "write the scheme before it: `Authorization: Bearer <token>`",
        )
    })
}

fn no_token(reason: Option<Reason>, request: RequestHead<'_>) -> Option<Hint> {
    let is_it =
        |scheme: &str, rest: &str| scheme.is_empty() || scheme.eq_ignore_ascii_case("Bearer") && rest.is_empty();
    follows(reason, &request, is_it).then(|| {
        hint(
            "there is no token after the scheme",
            "send a token after the scheme: is the variable empty that the client takes it from?",
        )
    })
}

fn in_quotation_marks(reason: Option<Reason>, request: RequestHead<'_>) -> Option<Hint> {
    follows(reason, &request, |_, rest| rest.starts_with(['"', '\'']))
        .then(|| hint("the token is in quotation marks", "send the token without quotation marks"))
}

fn scheme_twice(reason: Option<Reason>, request: RequestHead<'_>) -> Option<Hint> {
    let is_it = |_: &str, rest: &str| rest.get(..7).is_some_and(|word| word.eq_ignore_ascii_case("Bearer "));
    follows(reason, &request, is_it).then(|| {
        hint("the scheme is written twice", "write `Bearer` once: the client adds it to a value that begins with it")
    })
}

fn other_scheme(reason: Option<Reason>, request: RequestHead<'_>) -> Option<Hint> {
    (reason.is_none() && follows(reason, &request, |_, rest| rest.contains("eyJ"))).then(|| {
        hint(
            "there is a JWT under another scheme than Bearer, and it is not read",
            "send the token as `Authorization: Bearer <token>`",
        )
    })
}
