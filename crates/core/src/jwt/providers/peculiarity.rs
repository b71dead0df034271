use std::borrow::Cow;

use crate::{
    config::origin::Origin,
    jwt::{
        Profile,
        profile::{Peculiarity, TENANT},
    },
    refusal::{FailedCheck, Reason, failed_check::Actual},
    token::claims::UnverifiedClaims,
};

/// The tenant that an issuer of Microsoft Entra ID contains: the first segment of its path, where that is a GUID.
///
/// ```
/// use scopegate_core::jwt::entra_tenant;
///
/// let tenant = "9188040d-6c67-4c5b-b112-36a304b66dad";
/// assert_eq!(entra_tenant(&format!("https://login.microsoftonline.com/{tenant}/v2.0")), Some(tenant));
/// assert_eq!(entra_tenant(&format!("https://sts.windows.net/{tenant}/")), Some(tenant));
/// assert_eq!(entra_tenant("https://login.microsoftonline.com/common/v2.0"), None);
/// ```
pub fn entra_tenant(issuer: &str) -> Option<&str> {
    let (_host, path) = issuer.strip_prefix("https://")?.split_once('/')?;
    path.split('/').next().filter(|tenant| is_guid(tenant))
}

/// Five groups of hexadecimal digits, as RFC 9562 §4 writes them.
fn is_guid(text: &str) -> bool {
    let groups = text.split('-');
    groups.clone().map(str::len).eq([8, 4, 4, 4, 12])
        && groups.flat_map(str::bytes).all(|byte| byte.is_ascii_hexdigit())
}

impl Profile {
    pub(crate) fn check_peculiarity(&self, claims: &UnverifiedClaims<'_>) -> Result<(), FailedCheck> {
        if self.peculiarity() != Some(Peculiarity::TenantInIssuer) {
            return Ok(());
        }
        let Some(tenant) = claims.string(TENANT, TENANT)? else {
            return Err(FailedCheck::new(Reason::MissingClaim, TENANT, "a value", Actual::NONE));
        };
        if !is_guid(tenant) {
            return Err(FailedCheck::new(Reason::MalformedClaim, TENANT, "a GUID", tenant));
        }
        let issuer = claims.string("iss", "iss")?.unwrap_or_default();
        if entra_tenant(issuer) != Some(tenant) {
            let expected = entra_tenant(issuer).unwrap_or("an issuer that contains a tenant").to_owned();
            return Err(FailedCheck::new(Reason::UnknownIssuer, TENANT, expected, tenant));
        }
        Ok(())
    }

    /// The other settings of an issuer that contradict this profile, each worded to follow "the profile".
    pub(crate) fn misfits(&self, settings: &Settings<'_>) -> Vec<Cow<'static, str>> {
        let mut misfits: Vec<Cow<'static, str>> = Vec::new();
        let parties = settings.origin.names(".authorized_parties(..)", "authorized_parties");
        // JWT-3: where the audience is waived by name, a list of clients is checked in its place.
        if settings.audience_waived && !settings.has_parties {
            misfits.push(
                format!("is used without an audience, and nothing stands in for it; list the clients with {parties}")
                    .into(),
            );
        }
        if settings.audience_waived && !self.names_the_kind() {
            let waiver = settings.origin.names(".dangerous_waive_audience()", "dangerous_waive_audience");
            misfits.push(
                format!(
                    "is used without an audience, and its tokens do not say in so many words that they are access tokens; \
                     leave out {waiver}"
                )
                .into(),
            );
        }
        if settings.has_parties && !self.names_a_client() {
            misfits.push(
                format!("knows no client, so that no token could be of an authorized party; leave out {parties}")
                    .into(),
            );
        }
        match self.peculiarity() {
            Some(Peculiarity::CustomAudience)
                if settings.audiences.iter().any(|audience| is_default_audience(audience, settings.issuer)) =>
            {
                misfits.push(
                    "demands an audience of your own; the address of a repository's owner is in tokens that were meant for nobody".into(),
                );
            }
            Some(Peculiarity::TenantInIssuer) if !settings.is_template && !is_entra_issuer(settings.issuer) => misfits.push(
                "knows issuers by the GUID of their tenant, in lower case as in `iss`; `common`, `organizations` and domains are in no \
                 token"
                .into(),
            ),
            Some(Peculiarity::OpenToAll) if !settings.has_parties => misfits.push(
                format!("accepts service accounts of everybody; list those that may call with {parties}").into(),
            ),
            _ => {}
        }
        misfits
    }

    fn names_a_client(&self) -> bool {
        self.client_from().is_some() || self.client_is_audience()
    }
}

/// The settings of an issuer that a profile may contradict.
pub(crate) struct Settings<'s> {
    pub(crate) issuer: &'s str,
    pub(crate) origin: &'s Origin,
    pub(crate) audiences: &'s [String],
    pub(crate) audience_waived: bool,
    pub(crate) has_parties: bool,
    /// Whether this is the sample by which the settings of tenants are checked.
    pub(crate) is_template: bool,
}

fn is_entra_issuer(issuer: &str) -> bool {
    entra_tenant(issuer).is_some_and(|tenant| !tenant.bytes().any(|byte| byte.is_ascii_uppercase()))
}

/// Whether an audience is GitHub's default where a workflow names none: the address of the repository's owner, on
/// github.com or on the server that the issuer is part of.
fn is_default_audience(audience: &str, issuer: &str) -> bool {
    let host = issuer.strip_suffix("/_services/token").unwrap_or("https://github.com");
    audience.strip_prefix(host).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
