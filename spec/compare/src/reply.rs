//! Answers about tokens: good ones, and then what edits make of them.

use http::StatusCode;

use crate::{
    introspection::CLIENT_ID,
    keys::key,
    mutation::{Form, SignatureEdit},
    request::NOW,
    text::{Members, base64url, object, quoted, set},
};

/// How an answer is made.
#[derive(Clone, Debug, Default)]
pub struct ReplyPlan {
    /// What is changed, in this order.
    pub edits: Vec<ReplyEdit>,
}

/// A change of an answer.
#[derive(Clone, Debug)]
pub enum ReplyEdit {
    /// A member has this value, as JSON.
    Member(&'static str, &'static str),
    /// A member is absent.
    NoMember(&'static str),
    /// A member is there a second time.
    MemberTwice(&'static str, &'static str),
    /// A member is a time, so many seconds after [`NOW`].
    Time(&'static str, i64, Form),
    /// The answer, or what is signed of it, is this text.
    Text(&'static str),
    /// The status is another one.
    Status(u16),
    /// The content type is another one.
    ContentType(&'static str),
    /// There is no answer.
    Outage,
    /// A member of the header of a signed answer has this value, as JSON.
    Header(&'static str, &'static str),
    /// A member beside the signed answer has this value, as JSON.
    Beside(&'static str, &'static str),
    /// A member beside the signed answer is absent.
    NothingBeside(&'static str),
    /// The signed answer is so many seconds old.
    Age(i64),
    /// Another key of the pool signs.
    Signer(usize),
    /// The signature is changed.
    Signature(SignatureEdit),
}

impl ReplyEdit {
    /// Whether it is open what the answer then means, where it is about a JWT that was verified: what the JWT says already need
    /// not be said again, or has to be.
    pub fn is_open_about_a_jwt(&self) -> bool {
        match self {
            Self::NoMember(name) | Self::Member(name, "null") => ["aud", "client_id", "iat"].contains(name),
            Self::Member("aud", value) => *value != "\"https://other.example\"",
            Self::Text(text) => text.contains("true"),
            _ => false,
        }
    }
}

/// An answer as it is sent.
#[derive(Clone, Debug, Hash)]
#[expect(missing_docs)]
pub enum Written {
    Answer { status: StatusCode, content_type: &'static str, body: String, cnf: Option<String> },
    Nothing,
}

/// What a good answer depends on.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The issuer.
    pub issuer: &'static str,
    /// The audience.
    pub audience: String,
    /// The client.
    pub client: &'static str,
    /// The scopes.
    pub scope: String,
    /// `cnf`, as JSON.
    pub cnf: Option<String>,
    /// The key that signs answers, its algorithm, and its `kid`; `None` where they are not signed.
    pub signer: Option<(usize, &'static str, Option<&'static str>)>,
}

impl ReplyPlan {
    /// The answer at a time.
    pub fn written(&self, subject: &Subject, now: i64) -> Written {
        let mut members = Members::new();
        for (name, value) in [
            ("active", "true".to_owned()),
            ("aud", subject.audience.clone()),
            ("sub", quoted("alice")),
            ("client_id", quoted(subject.client)),
            ("scope", quoted(&subject.scope)),
            ("exp", (NOW + 200).to_string()),
            ("iat", (NOW - 10).to_string()),
        ] {
            set(&mut members, name, value);
        }
        if let Some(cnf) = &subject.cnf {
            set(&mut members, "cnf", cnf.clone());
        }
        let (mut status, mut content_type, mut text) = (StatusCode::OK, None, None);
        for edit in &self.edits {
            match *edit {
                ReplyEdit::Member(name, value) => set(&mut members, name, value),
                ReplyEdit::NoMember(name) => members.retain(|(known, _)| known != name),
                ReplyEdit::MemberTwice(name, value) => members.push((name.to_owned(), value.to_owned())),
                ReplyEdit::Time(name, offset, form) => set(&mut members, name, form.write(NOW + offset)),
                ReplyEdit::Text(other) => text = Some(other.to_owned()),
                ReplyEdit::Status(other) => status = StatusCode::from_u16(other).expect("a status"),
                ReplyEdit::ContentType(other) => content_type = Some(other),
                ReplyEdit::Outage => return Written::Nothing,
                _ => {}
            }
        }
        let cnf = members.iter().find(|(name, _)| name == "cnf" && text.is_none()).map(|(_, value)| value.clone());
        let text = text.unwrap_or_else(|| object(&members));
        let (own_type, body) = match subject.signer {
            None => ("application/json", text),
            Some(signer) => ("application/token-introspection+jwt", self.signed(subject, signer, text, now)),
        };
        Written::Answer { status, content_type: content_type.unwrap_or(own_type), body, cnf }
    }

    fn signed(
        &self,
        subject: &Subject,
        (mut signer, mut algorithm, kid): (usize, &'static str, Option<&'static str>),
        text: String,
        now: i64,
    ) -> String {
        let (mut header, mut claims) = (Members::new(), Members::new());
        for (name, value) in [("typ", quoted("token-introspection+jwt")), ("alg", quoted(algorithm))] {
            set(&mut header, name, value);
        }
        if let Some(kid) = kid {
            set(&mut header, "kid", quoted(kid));
        }
        for (name, value) in [
            ("iss", quoted(subject.issuer)),
            ("aud", quoted(CLIENT_ID)),
            ("iat", now.to_string()),
            ("token_introspection", text),
        ] {
            set(&mut claims, name, value);
        }
        for edit in &self.edits {
            match *edit {
                ReplyEdit::Header(name, value) => set(&mut header, name, value),
                ReplyEdit::Beside(name, value) => set(&mut claims, name, value),
                ReplyEdit::NothingBeside(name) => claims.retain(|(known, _)| known != name),
                ReplyEdit::Age(age) => set(&mut claims, "iat", (now - age).to_string()),
                ReplyEdit::Signer(other) => (signer, algorithm) = (other, key(other).algorithms[0]),
                _ => {}
            }
        }
        let input = format!("{}.{}", base64url(object(&header)), base64url(object(&claims)));
        let mut signature = key(signer).sign(algorithm, input.as_bytes());
        for edit in &self.edits {
            if let ReplyEdit::Signature(edit) = edit {
                edit.apply(&mut signature);
            }
        }
        format!("{input}.{}", base64url(signature))
    }
}
