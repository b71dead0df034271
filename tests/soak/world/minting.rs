//! Tokens, some with a flaw.

use std::time::Duration;

use scopegate_testing::{Mint, SigningKeys};
use scopegate_tests::{AUDIENCE, ISSUER};
use serde_json::json;

use super::{OPAQUE_ISSUER, World, site::lock};
use crate::tokens::{Flaw, Kind, Token};

fn scope_of(token: &Token) -> &'static str {
    if token.reads { "read write" } else { "write" }
}

impl World {
    /// Makes a token, which may have a flaw.
    pub(super) fn mint(&mut self) -> Token {
        self.minted += 1;
        let kind = *self.random.choose(&Kind::ALL);
        let (subject, reads) = (format!("subject-{}", self.minted), !self.random.once_in(4));
        let lifetime = self.random.between(10, 3600);
        let (from, to) = (self.unix(), self.unix() + lifetime);
        let mut token = Token {
            kind,
            text: String::new(),
            flaw: None,
            subject,
            reads,
            times: (kind != Kind::Social).then_some((from, to)),
            key_id: None,
            revoked_at: None,
            revoked_clock: 0,
        };
        match kind {
            Kind::Jwt | Kind::Bound => {
                if self.random.once_in(4) {
                    token.flaw = Some(*self.random.choose(&Flaw::OF_JWTS));
                }
                self.sign(&mut token, lifetime);
            }
            Kind::Opaque | Kind::Social => {
                let prefix = if kind == Kind::Social { "social-" } else { "opaque-" };
                token.text = format!("{prefix}{:016x}{:016x}", self.random.next(), self.random.next());
                if self.random.once_in(4) {
                    token.flaw = Some(Flaw::NotIssued);
                } else {
                    let scope = scope_of(&token);
                    let answer = if kind == Kind::Social {
                        json!({ "valid": true, "account": token.subject, "scope": scope })
                    } else {
                        json!({
                            "active": true, "iss": OPAQUE_ISSUER, "sub": token.subject, "aud": AUDIENCE,
                            "client_id": "app", "scope": scope,
                            "iat": from, "exp": to, "token_type": "Bearer",
                        })
                    };
                    lock(&self.site).active.insert(token.text.clone(), answer.to_string());
                }
            }
        }
        token
    }

    fn sign(&self, token: &mut Token, lifetime: u64) {
        let key = {
            let site = lock(&self.site);
            let signing = site.keys.last().expect("there is always one");
            token.key_id = Some(signing.id.clone());
            signing.key.clone()
        };
        let mint = Mint::new(ISSUER, SigningKeys::from(key.clone())).with_audience(AUDIENCE);
        let mint = mint.with_clock(self.clock.clone());
        let builder = match token.flaw {
            Some(Flaw::IdToken) => mint.id_token(),
            Some(Flaw::OtherIssuer) => Mint::new("https://other.example", SigningKeys::from(key.clone()))
                .with_audience(AUDIENCE)
                .with_clock(self.clock.clone())
                .token(),
            _ => mint.token(),
        };
        let builder = builder.subject(&token.subject).scope(scope_of(token)).expires_in(Duration::from_secs(lifetime));
        let builder = if token.kind == Kind::Bound { builder.bound_to(&self.client) } else { builder };
        let builder = match token.flaw {
            Some(Flaw::OtherKey) => builder.signed_by_wrong_key(),
            Some(Flaw::UnknownKeyId) => builder.key_id(format!("invented-{}", self.minted)),
            Some(Flaw::OtherAudience) => builder.audience("https://other.example"),
            Some(Flaw::Unsigned) => builder.unsigned(),
            Some(Flaw::Tampered) => builder.tampered_signature(),
            _ => builder,
        };
        token.text = builder.issue();
    }
}
