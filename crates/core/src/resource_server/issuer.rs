use std::{fmt, sync::Arc};

use crate::{
    ExactScopes, ScopeGrammar,
    https_url::{self, PlainHttp},
    jwks::KeySource,
    jws::Algorithm,
    jwt::Profile,
};

/// The settings of one issuer: who it is, where its keys are, and what its tokens are held to.
///
/// Every setting belongs to this issuer alone; its keys verify no other issuer's tokens.
///
/// ```
/// use scopegate_core::{GenAuthScopes, Issuer, jwt::Profile};
///
/// let issuer = Issuer::discover("https://steam-talk.genauth.ai/oidc")
///     .audience("60193c610f9117e7cb049159")
///     .profile(Profile::genauth())
///     .scope_grammar(GenAuthScopes);
/// ```
#[must_use = "an issuer has to be given to a `ResourceServerBuilder`"]
pub struct Issuer {
    pub(super) identifier: String,
    pub(super) keys: Keys,
    pub(super) plain_http: PlainHttp,
    pub(super) audiences: Vec<String>,
    pub(super) authorized_parties: Option<Vec<String>>,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) profile: Profile,
    pub(super) grammar: Arc<dyn ScopeGrammar>,
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer")
            .field("identifier", &https_url::shown(&self.identifier))
            .field("keys", &self.keys)
            .field("audiences", &self.audiences)
            .field("authorized_parties", &self.authorized_parties)
            .field("algorithms", &self.algorithms)
            .field("profile", &self.profile)
            .field("grammar", &self.grammar)
            .finish_non_exhaustive()
    }
}

/// Where the keys come from.
pub(super) enum Keys {
    Discovered,
    Given(Vec<u8>),
    Source(Arc<dyn KeySource>),
    Url(String),
}

/// A key set that was given is not shown: it is long, and one that was given by mistake has private members. Nor is the
/// secret part of a URL.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discovered => f.write_str("Discovered"),
            Self::Given(_) => f.write_str("Given(..)"),
            Self::Source(source) => f.debug_tuple("Source").field(source).finish(),
            Self::Url(url) => f.debug_tuple("Url").field(&https_url::shown(url)).finish(),
        }
    }
}

impl Issuer {
    fn new(identifier: impl Into<String>, keys: Keys) -> Self {
        Self {
            identifier: identifier.into(),
            keys,
            plain_http: PlainHttp::Refused,
            audiences: Vec::new(),
            authorized_parties: None,
            algorithms: Algorithm::DEFAULT.to_vec(),
            profile: Profile::rfc9068(),
            grammar: Arc::new(ExactScopes),
        }
    }

    /// An issuer whose keys are found through its metadata document (RFC 8414, OpenID Connect Discovery).
    ///
    /// `identifier` is what the issuer writes into `iss`, character for character.
    pub fn discover(identifier: impl Into<String>) -> Self {
        Self::new(identifier, Keys::Discovered)
    }

    /// An issuer whose JWK Set is at a known URL.
    pub fn with_jwks_uri(identifier: impl Into<String>, jwks_uri: impl Into<String>) -> Self {
        Self::new(identifier, Keys::Url(jwks_uri.into()))
    }

    /// An issuer whose JWK Set is given as JSON and never changes.
    pub fn with_jwks(identifier: impl Into<String>, json: impl Into<Vec<u8>>) -> Self {
        Self::new(identifier, Keys::Given(json.into()))
    }

    /// An issuer whose keys come from the application.
    pub fn with_key_source(identifier: impl Into<String>, keys: impl KeySource) -> Self {
        Self::new(identifier, Keys::Source(Arc::new(keys)))
    }

    /// Accepts tokens of this issuer for this audience, besides those named before. Without any, the audiences of the
    /// [builder](super::ResourceServerBuilder::audience) count.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// Accepts only tokens that were issued to one of these clients.
    pub fn authorized_parties<P: Into<String>>(mut self, parties: impl IntoIterator<Item = P>) -> Self {
        self.authorized_parties = Some(parties.into_iter().map(Into::into).collect());
        self
    }

    /// Accepts these algorithms instead of [`Algorithm::DEFAULT`]. A key that does not say its algorithm is used with the
    /// first of them that fits it.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        self
    }

    /// Expects access tokens as this profile has them, instead of [`Profile::rfc9068`].
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Reads the scopes of this issuer by this grammar, instead of [`ExactScopes`].
    pub fn scope_grammar(mut self, grammar: impl ScopeGrammar) -> Self {
        self.grammar = Arc::new(grammar);
        self
    }

    /// Allows `http` where the host is a loopback address, for an issuer on the same machine. The address has to be written
    /// as one, such as `127.0.0.1`: what a name like `localhost` stands for is for others to say.
    ///
    /// Whoever can answer on that port decides which tokens are good.
    pub fn dangerous_allow_http_on_loopback(mut self) -> Self {
        self.plain_http = PlainHttp::OnLoopback;
        self
    }
}
