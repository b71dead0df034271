//! What is known of a token beside what it says.

use std::sync::Arc;

use crate::jwt::cache::TokenDigest;

/// What is known of a token beside what it says.
#[derive(Clone)]
pub(crate) struct TokenIdentity {
    /// The digest of its text, by which the same token is recognised and not verified again.
    pub(super) digest: TokenDigest,
    /// The digest of what its signature covers, of a JWT that is known only by its issuer's answer. Elsewhere, since few are and
    /// every request moves this.
    pub(super) signed_part: Option<Arc<TokenDigest>>,
    /// The epoch of invalidations in which its request came.
    pub(super) epoch: u64,
}
