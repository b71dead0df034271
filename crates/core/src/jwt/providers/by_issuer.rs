//! Which product an issuer is, by its address.

use crate::jwt::Profile;

/// Names of profiles by a part of the issuer's address.
const BY_ADDRESS: [(&str, &str); 14] = [
    ("://accounts.google.com", "google"),
    ("://sts.windows.net/", "entra-v1"),
    ("://login.microsoftonline.com/", "entra-v2"),
    ("://token.actions.githubusercontent.com", "dangerous-github-actions"),
    (".auth0.com/", "auth0"),
    ("://cognito-idp.", "cognito"),
    (".cloudflareaccess.com", "cloudflare-access"),
    (".genauth.ai", "genauth"),
    (".authing.cn", "genauth"),
    ("/realms/", "keycloak"),
    (".logto.app/", "logto"),
    (".okta.com", "okta"),
    ("://auth.pingone.", "pingone"),
    (".zitadel.cloud", "zitadel"),
];

impl Profile {
    /// The name of the profile that an issuer of this address probably needs, where the address tells its product. A guess, for
    /// messages and for tools: a token decides.
    ///
    /// ```
    /// use scopegate_core::jwt::Profile;
    ///
    /// assert_eq!(Profile::name_by_issuer("https://sso.example/realms/shop"), Some("keycloak"));
    /// assert_eq!(Profile::name_by_issuer("https://sso.example"), None);
    /// ```
    pub fn name_by_issuer(issuer: &str) -> Option<&'static str> {
        BY_ADDRESS.iter().find(|(part, _)| issuer.contains(part)).map(|(_, profile)| *profile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_that_of_a_profile() {
        for (part, name) in BY_ADDRESS {
            assert!(Profile::by_name(name).is_some(), "{part}: {name}");
        }
    }
}
