//! DPoP proofs, and what tokens are bound to.

use std::sync::LazyLock;

use scopegate_spec::keys;
use scopegate_spec_compare::{
    keys::key,
    request::NOW,
    text::{Members, base64url, object, quoted, set},
};
use sha2::{Digest as _, Sha256};

/// The place in the pool of the client's key, and that of another one.
pub const HOLDER: usize = 3;
const OTHER: usize = 2;

/// The DER of the client's certificate, which nobody parses, and that of another one.
pub const CERTIFICATES: [&[u8]; 2] = [b"the certificate of the client", b"another certificate"];

/// `cnf` with the thumbprint of the client's key, of another key, of the client's certificate, and of both of the client's.
pub static CONFIRMATIONS: LazyLock<[String; 4]> = LazyLock::new(|| {
    let (jkt, x5t) = (thumbprint(HOLDER), base64url(Sha256::digest(CERTIFICATES[0])));
    [
        format!("{{\"jkt\":\"{jkt}\"}}"),
        format!("{{\"jkt\":\"{}\"}}", thumbprint(OTHER)),
        format!("{{\"x5t#S256\":\"{x5t}\"}}"),
        format!("{{\"jkt\":\"{jkt}\",\"x5t#S256\":\"{x5t}\"}}"),
    ]
});

fn jwk(index: usize) -> Members {
    key(index).members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn thumbprint(index: usize) -> String {
    let jwk = serde_json::from_str(&object(&jwk(index))).expect("a JSON object");
    keys::read(&jwk).unwrap_or_else(|rule| panic!("a key of the pool can be used, and not {rule}")).thumbprint
}

/// A proof before it is written.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The JOSE header.
    pub header: Members,
    /// The payload.
    pub claims: Members,
    /// Which key of the pool signs.
    pub key: usize,
    /// How many field lines have it.
    pub lines: usize,
    /// What is done to its text.
    pub edit: fn(&mut String),
}

impl Draft {
    /// A good proof for a token, with an identifier of its own.
    pub fn new(token: &str, id: u64) -> Self {
        let mut draft = Self { header: Members::new(), claims: Members::new(), key: HOLDER, lines: 1, edit: |_| {} };
        for (name, value) in [("typ", quoted("dpop+jwt")), ("alg", quoted("Ed25519")), ("jwk", object(&jwk(HOLDER)))] {
            set(&mut draft.header, name, value);
        }
        for (name, value) in [
            ("jti", quoted(&id.to_string())),
            ("htm", quoted("GET")),
            ("htu", quoted("https://api.example/messages")),
            ("iat", NOW.to_string()),
            ("ath", quoted(&base64url(Sha256::digest(token)))),
        ] {
            set(&mut draft.claims, name, value);
        }
        draft
    }

    /// A claim has this value, as JSON.
    pub fn claim(&mut self, name: &str, value: impl Into<String>) {
        set(&mut self.claims, name, value);
    }

    /// A member of the header has this value, as JSON.
    pub fn header(&mut self, name: &str, value: impl Into<String>) {
        set(&mut self.header, name, value);
    }

    /// A claim is absent.
    pub fn no_claim(&mut self, name: &str) {
        self.claims.retain(|(known, _)| known != name);
    }

    /// Another key signs, and the proof names that one.
    pub fn by_other_key(&mut self) {
        self.key = OTHER;
        self.header("jwk", object(&jwk(OTHER)));
    }

    /// The `jwk` has one more member.
    pub fn key_member(&mut self, name: &str, value: &str) {
        let mut members = jwk(self.key);
        set(&mut members, name, value);
        self.header("jwk", object(&members));
    }

    /// The text.
    pub fn text(&self) -> String {
        let input = format!("{}.{}", base64url(object(&self.header)), base64url(object(&self.claims)));
        let signature = key(self.key).sign("Ed25519", input.as_bytes());
        let mut text = format!("{input}.{}", base64url(signature));
        (self.edit)(&mut text);
        text
    }
}
