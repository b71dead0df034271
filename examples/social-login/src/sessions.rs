//! The sessions of the service: which user of WeChat logged in where.

use std::collections::HashMap;

/// Openids by the names of sessions.
///
/// Two fixed sessions stand in for what a login makes. There, this service exchanges the code that came back from WeChat,
/// by its own secret, for a token and an openid, notes the openid, and gives the browser or app a name for the session that
/// nobody can guess.
#[derive(Debug)]
pub(crate) struct Sessions(HashMap<&'static str, &'static str>);

impl Sessions {
    /// The session of Li, by whose name this module's callers show a good token.
    pub(crate) const OF_LI: &str = "session-of-li";
    /// The session of Wang, who has no business with Li's token.
    pub(crate) const OF_WANG: &str = "session-of-wang";

    pub(crate) fn demo() -> Self {
        Self(HashMap::from([(Self::OF_LI, "openid-of-li"), (Self::OF_WANG, "openid-of-wang")]))
    }

    /// The openid of whoever logged in, if there is such a session.
    pub(crate) fn openid(&self, session: &str) -> Option<&'static str> {
        self.0.get(session).copied()
    }
}
