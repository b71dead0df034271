//! What a request shows of the keys that its client has.

use http::{HeaderName, HeaderValue, Method, Uri};

use super::{Confirmed, binding::Thumbprint};
use crate::request::{RequestHead, Scheme};

/// The header that carries a proof (RFC 9449 §4.1).
const DPOP: HeaderName = HeaderName::from_static("dpop");

/// What a request shows of the keys that its client has. It outlives the borrowed request, since the token may have to be
/// looked up first: a binding is checked after the token that names it.
pub(crate) struct Evidence {
    pub(super) scheme: Scheme,
    pub(super) method: Method,
    /// The index of the protected resource that it is for.
    pub(super) resource: usize,
    /// As the client sent it, before any router took a prefix off its path.
    pub(super) target: Uri,
    pub(super) proof: ProofField,
    /// The token, under the DPoP scheme.
    pub(super) token: Option<Box<str>>,
    /// The client's certificate; or why the header that a proxy wrote holds none.
    pub(super) certificate: Result<Option<Thumbprint>, &'static str>,
    /// What an outer layer has confirmed of the same token in the same request, so that no proof is used twice by it.
    pub(super) earlier: Option<Confirmed>,
}

/// The field lines of the header `DPoP`.
#[derive(Debug)]
pub(super) enum ProofField {
    None,
    One(HeaderValue),
    Several,
}

impl ProofField {
    pub(super) fn of(request: RequestHead<'_>) -> Self {
        let mut lines = request.headers().get_all(DPOP).iter();
        match (lines.next(), lines.next()) {
            (None, _) => Self::None,
            (Some(line), None) => Self::One(line.clone()),
            // DPOP-2: more than one is never read.
            (Some(_), Some(_)) => Self::Several,
        }
    }
}
