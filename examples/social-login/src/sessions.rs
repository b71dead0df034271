//! The sessions of the service: which user of WeChat logged in where.

use std::collections::HashMap;

/// Openids by the names of sessions.
///
/// Two fixed sessions stand in for what a login makes: there, the service exchanges the code that came back from WeChat, by
/// a secret of its own, for a token and an openid, notes the openid, and names the session so that nobody can guess it.
#[derive(Debug)]
pub(crate) struct Sessions(HashMap<&'static str, &'static str>);

impl Sessions {
    /// The session of Li, who has a token.
    pub(crate) const OF_LI: &str = "session-of-li";
    /// The session of Wang, for which Li's token is not good.
    pub(crate) const OF_WANG: &str = "session-of-wang";

    pub(crate) fn demo() -> Self {
        Self(HashMap::from([(Self::OF_LI, "openid-of-li"), (Self::OF_WANG, "openid-of-wang")]))
    }

    /// The openid of whoever logged in, if there is such a session.
    pub(crate) fn openid(&self, session: &str) -> Option<String> {
        self.0.get(session).map(ToString::to_string)
    }
}
