use std::net::SocketAddr;

/// The URLs of the issuer: its identifier and its endpoints.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) issuer: String,
    pub(super) jwks_uri: String,
    pub(super) token_endpoint: String,
    pub(super) introspection_endpoint: String,
    pub(super) revocation_endpoint: String,
    pub(super) rotation_endpoint: String,
    /// The issuer's path without a trailing `/`: the prefix of endpoint paths.
    base: String,
    jwks_path: String,
}

/// The endpoint that a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Discovery,
    Introspection,
    Jwks,
    Revocation,
    Rotation,
    Token,
}

impl Endpoint {
    /// Whether its requests are forms, sent by POST.
    pub(super) fn takes_forms(self) -> bool {
        match self {
            Self::Discovery | Self::Jwks => false,
            Self::Introspection | Self::Revocation | Self::Rotation | Self::Token => true,
        }
    }
}

impl Site {
    pub(super) fn new(address: SocketAddr, path: &str, jwks_path: &str) -> Self {
        let base = path.trim_end_matches('/');
        Self {
            issuer: format!("http://{address}{path}"),
            jwks_uri: format!("http://{address}{base}{jwks_path}"),
            token_endpoint: format!("http://{address}{base}/token"),
            introspection_endpoint: format!("http://{address}{base}/introspect"),
            revocation_endpoint: format!("http://{address}{base}/revoke"),
            rotation_endpoint: format!("http://{address}{base}/rotate"),
            base: base.to_owned(),
            jwks_path: jwks_path.to_owned(),
        }
    }

    /// The endpoint at `path`. Metadata has three: OpenID Connect Discovery appends its well-known path to the issuer, RFC
    /// 8414 inserts its own (section 3), and section 5 allows inserting the other.
    pub(super) fn endpoint(&self, path: &str) -> Option<Endpoint> {
        const OPENID: &str = "/.well-known/openid-configuration";
        const OAUTH: &str = "/.well-known/oauth-authorization-server";
        if path.strip_prefix(OAUTH) == Some(&self.base) || path.strip_prefix(OPENID) == Some(&self.base) {
            return Some(Endpoint::Discovery);
        }
        match path.strip_prefix(self.base.as_str())? {
            OPENID => Some(Endpoint::Discovery),
            "/introspect" => Some(Endpoint::Introspection),
            "/revoke" => Some(Endpoint::Revocation),
            "/rotate" => Some(Endpoint::Rotation),
            "/token" => Some(Endpoint::Token),
            rest if rest == self.jwks_path => Some(Endpoint::Jwks),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(path: &str) -> Site {
        Site::new(([127, 0, 0, 1], 4000).into(), path, "/jwks.json")
    }

    #[test]
    fn an_issuer_without_a_path_has_its_endpoints_at_the_root() {
        let site = site("");
        assert_eq!(site.issuer, "http://127.0.0.1:4000");
        assert_eq!(site.jwks_uri, "http://127.0.0.1:4000/jwks.json");
        assert_eq!(site.endpoint("/.well-known/openid-configuration"), Some(Endpoint::Discovery));
        assert_eq!(site.endpoint("/.well-known/oauth-authorization-server"), Some(Endpoint::Discovery));
        assert_eq!(site.endpoint("/jwks.json"), Some(Endpoint::Jwks));
        assert_eq!(site.endpoint("/introspect"), Some(Endpoint::Introspection));
        assert_eq!(site.endpoint("/revoke"), Some(Endpoint::Revocation));
        assert_eq!(site.endpoint("/rotate"), Some(Endpoint::Rotation));
        assert_eq!(site.endpoint("/token"), Some(Endpoint::Token));
        assert_eq!(site.endpoint("/"), None);
    }

    #[test]
    fn the_path_of_an_issuer_is_inserted_or_goes_first() {
        for path in ["/tenant-a", "/tenant-a/"] {
            let site = site(path);
            assert_eq!(site.issuer, format!("http://127.0.0.1:4000{path}"));
            assert_eq!(site.token_endpoint, "http://127.0.0.1:4000/tenant-a/token");
            for path in [
                "/tenant-a/.well-known/openid-configuration",
                "/.well-known/openid-configuration/tenant-a",
                "/.well-known/oauth-authorization-server/tenant-a",
            ] {
                assert_eq!(site.endpoint(path), Some(Endpoint::Discovery), "{path}");
            }
            for path in ["/token", "/tenant-b/token", "/.well-known/openid-configuration"] {
                assert_eq!(site.endpoint(path), None, "{path}");
            }
        }
    }
}
