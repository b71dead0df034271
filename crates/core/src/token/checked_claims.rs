//! The registered claims of a token that passed its checks, and how a verified token keeps them.

use std::num::NonZeroU32;

use super::claims::{self, NumericDate};
use crate::confirmation::Confirmation;

/// What a token says of itself in registered claims. `S` is a text and `L` a list of texts: [borrowed](CheckedClaims) from the
/// claims while these are checked, [positions](StoredClaims) in the text of the token from then on.
#[derive(Clone)]
pub(crate) struct TokenClaims<S, L> {
    pub(crate) subject: Option<S>,
    pub(crate) client_id: Option<S>,
    pub(crate) token_id: Option<S>,
    pub(crate) audience: L,
    pub(crate) expires_at: Option<NumericDate>,
    pub(crate) not_before: Option<NumericDate>,
    pub(crate) issued_at: Option<NumericDate>,
    pub(crate) authentication_time: Option<NumericDate>,
    pub(crate) authentication_context: Option<S>,
    pub(crate) authentication_methods: L,
    /// What the token is bound to. Boxed, since few tokens are.
    pub(crate) confirmation: Option<Box<Confirmation>>,
}

/// Claims that pass every check. They make a verified token once the signature, or the answer of the issuer, admits it.
pub(crate) type CheckedClaims<'c> = TokenClaims<&'c str, claims::Texts<'c>>;

pub(super) type StoredClaims = TokenClaims<Text, Texts>;

impl CheckedClaims<'_> {
    /// Turns each text into its position in what `writer` writes.
    pub(super) fn store(self, writer: &mut Writer<'_>) -> StoredClaims {
        TokenClaims {
            subject: self.subject.map(|text| writer.text(text)),
            client_id: self.client_id.map(|text| writer.text(text)),
            token_id: self.token_id.map(|text| writer.text(text)),
            audience: writer.texts(self.audience),
            expires_at: self.expires_at,
            not_before: self.not_before,
            issued_at: self.issued_at,
            authentication_time: self.authentication_time,
            authentication_context: self.authentication_context.map(|text| writer.text(text)),
            authentication_methods: writer.texts(self.authentication_methods),
            confirmation: self.confirmation,
        }
    }
}

/// The position of a text in the text of its token.
#[derive(Clone, Copy)]
pub(super) struct Text {
    /// Never zero, where the claims have their brace.
    from: NonZeroU32,
    length: u32,
}

impl Text {
    pub(super) fn of(self, all: &str) -> &str {
        let from = self.from.get() as usize;
        all.get(from..from + self.length as usize).unwrap_or_default()
    }
}

/// The positions of any number of texts, without an allocation for one.
#[derive(Clone)]
pub(super) enum Texts {
    One(Option<Text>),
    Several(Box<[Text]>),
}

impl Texts {
    pub(super) fn iter(&self) -> impl Iterator<Item = Text> + Clone {
        let (one, several) = match self {
            Self::One(text) => (*text, &[][..]),
            Self::Several(texts) => (None, &**texts),
        };
        one.into_iter().chain(several.iter().copied())
    }
}

/// Writes the text of a token: its claims, and then the texts that are written there with escapes, so that no other text is
/// kept twice.
pub(super) struct Writer<'c> {
    claims: &'c str,
    text: String,
}

impl<'c> Writer<'c> {
    pub(super) fn new(claims: &'c str) -> Self {
        Self { claims, text: claims.to_owned() }
    }

    /// What was written.
    pub(super) fn finish(self) -> Box<str> {
        self.text.into()
    }

    /// The position of `text`, which is appended unless it is a slice of the claims.
    fn text(&mut self, text: &str) -> Text {
        let from = (text.as_ptr() as usize).checked_sub(self.claims.as_ptr() as usize);
        let is_slice = |from: &usize| self.claims.get(*from..from + text.len()).is_some_and(|part| part == text);
        let from = from.filter(is_slice).unwrap_or_else(|| {
            self.text.push_str(text);
            self.text.len() - text.len()
        });
        Text { from: NonZeroU32::new(short(from)).unwrap_or(NonZeroU32::MAX), length: short(text.len()) }
    }

    fn texts(&mut self, texts: claims::Texts<'_>) -> Texts {
        let mut texts = texts.iter();
        match (texts.next(), texts.next()) {
            (Some(one), Some(other)) => {
                Texts::Several([one, other].into_iter().chain(texts).map(|text| self.text(text)).collect())
            }
            (one, _) => Texts::One(one.map(|text| self.text(text))),
        }
    }
}

pub(super) fn short(length: usize) -> u32 {
    u32::try_from(length).expect("a token of 4 GiB is within no limit")
}
