//! Proofs of DPoP: good ones, and then what edits make of them.

use crate::{
    binding::{digest, nonce, proof_algorithm},
    keys::{jwk, key},
    mutation::{Form, SignatureEdit, TokenEdit},
    text::{Members, base64url, object, quoted, set},
};

/// How a proof is made.
#[derive(Clone, Debug)]
pub struct Proof {
    /// Which key of the pool signs and is named; `None` for the key that the token is bound to.
    pub key: Option<usize>,
    /// The number in its identifier.
    pub id: u8,
    /// How old it is, in seconds.
    pub age: i64,
    /// How old its nonce is, if it has one.
    pub nonce_age: Option<i64>,
    /// What is changed, in this order.
    pub edits: Vec<ProofEdit>,
}

/// A change of a proof.
#[derive(Clone, Debug)]
pub enum ProofEdit {
    /// A member of the header has this value, as JSON.
    Header(&'static str, &'static str),
    /// A member of the header is absent.
    NoHeader(&'static str),
    /// A claim has this value, as JSON.
    Claim(&'static str, &'static str),
    /// A claim is absent.
    NoClaim(&'static str),
    /// A claim is there a second time.
    ClaimTwice(&'static str, &'static str),
    /// The key has a member with this value, as JSON.
    KeyMember(&'static str, &'static str),
    /// Another key signs than the one that is named.
    Signer(usize),
    /// `iat` is so many seconds before the request.
    Age(i64, Form),
    /// The signature is changed.
    Signature(SignatureEdit),
    /// The text is changed.
    Text(TokenEdit),
    /// There are so many lines with it.
    Lines(usize),
}

impl Proof {
    /// Whether its nonce is what it was made with.
    pub fn keeps_nonce(&self) -> bool {
        !self.edits.iter().any(|edit| match edit {
            ProofEdit::Claim(name, _) | ProofEdit::NoClaim(name) | ProofEdit::ClaimTwice(name, _) => *name == "nonce",
            ProofEdit::Text(_) => true,
            _ => false,
        })
    }

    /// Its field lines for a token that is bound to a key, in a request for this target at a time. `is_confirmed` says whether the
    /// answer about the token names what it is bound to, and makes another proof.
    pub fn lines(&self, token: &str, bound_to: usize, is_confirmed: bool, target: &str, now: i64) -> Vec<String> {
        let index = self.key.unwrap_or(bound_to);
        let (algorithm, ath) = (proof_algorithm(index), digest(token));
        let (mut header, mut claims, mut named) = (Members::new(), Members::new(), jwk(index));
        for (name, value) in [("typ", quoted("dpop+jwt")), ("alg", quoted(algorithm))] {
            set(&mut header, name, value);
        }
        for (name, value) in [
            // Of this second: once a proof is too old the gate forgets it, and the specification never does.
            ("jti", quoted(&format!("{now} {} {is_confirmed} {}", self.id, &ath[..8]))),
            ("htm", quoted("GET")),
            ("htu", quoted(target)),
            ("iat", (now - self.age).to_string()),
            ("ath", quoted(&ath)),
        ] {
            set(&mut claims, name, value);
        }
        if let Some(age) = self.nonce_age {
            set(&mut claims, "nonce", quoted(&nonce(now - age)));
        }
        let (mut signer, mut count) = (index, 1);
        for edit in &self.edits {
            match *edit {
                ProofEdit::KeyMember(name, value) => set(&mut named, name, value),
                ProofEdit::Signer(other) => signer = other,
                ProofEdit::Lines(lines) => count = lines,
                _ => {}
            }
        }
        set(&mut header, "jwk", object(&named));
        for edit in &self.edits {
            match edit {
                ProofEdit::Header(name, value) => set(&mut header, name, *value),
                ProofEdit::NoHeader(name) => header.retain(|(known, _)| known != name),
                ProofEdit::Claim(name, value) => set(&mut claims, name, *value),
                ProofEdit::NoClaim(name) => claims.retain(|(known, _)| known != name),
                ProofEdit::ClaimTwice(name, value) => claims.push(((*name).to_owned(), (*value).to_owned())),
                ProofEdit::Age(age, form) => set(&mut claims, "iat", form.write(now - age)),
                _ => {}
            }
        }
        let input = format!("{}.{}", base64url(object(&header)), base64url(object(&claims)));
        let mut signature = key(signer).sign(proof_algorithm(signer), input.as_bytes());
        for edit in &self.edits {
            if let ProofEdit::Signature(edit) = edit {
                edit.apply(&mut signature);
            }
        }
        let mut text = format!("{input}.{}", base64url(signature));
        for edit in &self.edits {
            if let ProofEdit::Text(edit) = edit {
                edit.apply(&mut text);
            }
        }
        vec![text; count]
    }
}
