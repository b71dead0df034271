use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::{Map, Value};

use crate::{Mint, TokenBuilder, clock::numeric_date, compact::UnverifiedJwt, token::token_type};

/// The opaque tokens, and the revoked tokens of all kinds.
#[derive(Default)]
pub(super) struct Tokens {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    opaque: HashMap<String, Opaque>,
    revoked: HashSet<String>,
}

#[derive(Clone)]
struct Opaque {
    /// The members of the introspection response while the token is active.
    members: Map<String, Value>,
    is_refresh_token: bool,
}

impl Tokens {
    /// Issues an opaque token of this text with these claims, and returns the text.
    pub(super) fn issue(&self, text: String, is_refresh_token: bool, claims: &TokenBuilder) -> String {
        let mut others = Map::from_iter([("active".to_owned(), true.into())]);
        if !is_refresh_token {
            others.insert("token_type".to_owned(), claims.token_type().into());
        }
        let token = Opaque { members: claims.claims_beside(others), is_refresh_token };
        let mut known = self.known();
        known.revoked.remove(&text);
        known.opaque.insert(text.clone(), token);
        text
    }

    pub(super) fn revoke(&self, text: &str) {
        self.known().revoked.insert(text.to_owned());
    }

    /// The members of an active token's introspection response; `None` for any other token.
    ///
    /// A JWT is active if one of the mint's keys signed it, whatever its claims are, unless it is revoked or its times exclude
    /// it.
    pub(super) fn active(&self, text: &str, hint: Option<&str>, mint: &Mint) -> Option<Map<String, Value>> {
        let opaque = {
            let known = self.known();
            if known.revoked.contains(text) {
                return None;
            }
            known.opaque.get(text).cloned()
        };
        let members = match opaque {
            Some(Opaque { is_refresh_token: true, .. }) if hint == Some("access_token") => return None,
            Some(opaque) => opaque.members,
            None => {
                let mut claims = UnverifiedJwt::parse(text)?.verified_by(mint.keys().iter())?;
                let token_type = token_type(claims.get("cnf"));
                claims.insert("active".to_owned(), true.into());
                claims.insert("token_type".to_owned(), token_type.into());
                claims
            }
        };
        is_timely(&members, numeric_date(mint.clock().now())).then_some(members)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the token's times allow its use now. There is no leeway, and times that are not numbers are ignored.
fn is_timely(members: &Map<String, Value>, now: i64) -> bool {
    let time = |name: &str| members.get(name).and_then(Value::as_f64);
    let now = now as f64;
    time("exp").is_none_or(|expires_at| now < expires_at) && time("nbf").is_none_or(|not_before| not_before <= now)
}
