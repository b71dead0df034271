//! The sessions of the service: which WeChat user has logged in where.

use std::collections::HashMap;

/// Openids by session id.
///
/// Two fixed sessions stand in for logins: there, the service exchanges the code from WeChat for a token and an openid, by a
/// secret of its own, stores the openid, and issues a session id that cannot be guessed.
#[derive(Debug)]
pub(crate) struct Sessions(HashMap<&'static str, &'static str>);

impl Sessions {
    /// The session of Li, who has a token.
    pub(crate) const OF_LI: &str = "session-of-li";
    /// The session of Wang, for which Li's token is invalid.
    pub(crate) const OF_WANG: &str = "session-of-wang";

    pub(crate) fn demo() -> Self {
        Self(HashMap::from([(Self::OF_LI, "openid-of-li"), (Self::OF_WANG, "openid-of-wang")]))
    }

    /// The openid of the session's user, if there is such a session.
    pub(crate) fn openid(&self, session: &str) -> Option<String> {
        self.0.get(session).map(ToString::to_string)
    }
}
