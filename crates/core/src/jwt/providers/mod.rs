//! The profiles of known authorization servers: one constructor each, made of data wherever data suffices.
//!
//! A profile takes the scope from one claim and the client from one claim. Beyond the registered claims, it requires
//! evidence that a token is an access token; each constructor says which, and what it leaves to the application.

mod by_issuer;
mod peculiarity;
#[cfg(test)]
mod tests;

pub(crate) use self::peculiarity::Settings;
pub use self::peculiarity::entra_tenant;
use super::{Evidence, Profile, RequiredClaim, ScopeClaim, profile::Peculiarity};

type Constructor = fn() -> Profile;

/// The profiles by the names that a configuration file uses: those of their constructors, with hyphens.
const BY_NAME: &[(&str, Constructor)] = &[
    ("auth0", Profile::auth0),
    ("auth0-rfc9068", Profile::auth0_rfc9068),
    ("cloudflare-access", Profile::cloudflare_access),
    ("cognito", Profile::cognito),
    ("dangerous-github-actions", Profile::dangerous_github_actions),
    ("duende", Profile::duende),
    ("entra-v1", Profile::entra_v1),
    ("entra-v2", Profile::entra_v2),
    ("genauth", Profile::genauth),
    ("google", Profile::google),
    ("kanidm", Profile::kanidm),
    ("keycloak", Profile::keycloak),
    ("kubernetes", Profile::kubernetes),
    ("logto", Profile::logto),
    ("node-oidc-provider", Profile::node_oidc_provider),
    ("okta", Profile::okta),
    ("ory-hydra", Profile::ory_hydra),
    ("pingone", Profile::pingone),
    ("rfc9068", Profile::rfc9068),
    ("spring-authorization-server", Profile::spring_authorization_server),
    ("zitadel", Profile::zitadel),
];

/// A scope, where the provider writes it or in the claim that was chosen instead.
fn scope_in(claim: &'static str) -> Evidence {
    Evidence::any_of([Evidence::claim_present(claim), Evidence::scope_claim()])
}

/// The profiles of providers.
impl Profile {
    /// The profile of this name, as a configuration file has it: the constructor's name with hyphens, such as `entra-v2`.
    /// Names compare exactly.
    ///
    /// ```
    /// use scopegate_core::jwt::Profile;
    ///
    /// assert!(Profile::by_name("entra-v2").is_some());
    /// assert!(Profile::by_name("entra").is_none());
    /// ```
    pub fn by_name(name: &str) -> Option<Self> {
        BY_NAME.iter().find(|(known, _)| *known == name).map(|(_, profile)| profile())
    }

    /// The names that [`by_name`](Self::by_name) knows, in alphabetical order.
    pub fn names() -> impl Iterator<Item = &'static str> {
        BY_NAME.iter().map(|(name, _)| *name)
    }

    /// Access tokens of Auth0 in its default dialect; see [`auth0_rfc9068`](Self::auth0_rfc9068) for the other.
    ///
    /// | `typ` | scope | client | not required | evidence |
    /// |---|---|---|---|---|
    /// | `JWT` (unverified) | `scope`, a string | `azp` | `jti` | a `scope` or `permissions` that are not empty, or a `gty` |
    ///
    /// The issuer ends in a slash. `permissions` grants no scopes unless [`scope_claim`](Self::scope_claim) names it, and
    /// `org_id` is not looked at. `gty` is in tokens that were issued without a browser, such as those of machines, whose
    /// `scope` may be absent (unverified). A machine's `sub` is `<client>@clients` (unverified), so
    /// [`is_client`](crate::VerifiedToken::is_client) does not tell it from a user.
    pub fn auth0() -> Self {
        Self::compat("Auth0").accept_type("JWT").client_claim("azp").dangerous_waive(RequiredClaim::TokenId).evidence(
            Evidence::any_of([
                scope_in("scope"),
                Evidence::claim_present("permissions"),
                Evidence::claim_present("gty"),
            ]),
        )
    }

    /// Access tokens of Auth0 where the API has the RFC 9068 dialect: those of [`rfc9068`](Self::rfc9068), with `client_id`
    /// (`typ: at+jwt` is unverified).
    pub fn auth0_rfc9068() -> Self {
        Self::rfc9068().named("Auth0 (RFC 9068)")
    }

    /// Application tokens of Cloudflare Access.
    ///
    /// | `typ` | scope | client | not required | evidence |
    /// |---|---|---|---|---|
    /// | `JWT` | none | `common_name` | `sub` `common_name` `jti` | `type` is `app`, and `sub` or `common_name` is not empty |
    ///
    /// The audience is the application's AUD tag. A user's token has a `sub` and no client; a service token's has an empty
    /// `sub`, which counts as none, and the client id in `common_name`. The token of the global session (`type` of `org`) is
    /// refused. There are no scopes: every caller that the application's policies admit may call, unless a handler refuses.
    ///
    /// The token arrives in `Cf-Access-Jwt-Assertion`, which is read where it is named with
    /// [`token_header`](crate::ResourceServerBuilder::token_header).
    ///
    /// It is no weakening: the token is issued for this one application, after its policies were met, and for nothing else.
    pub fn cloudflare_access() -> Self {
        Self::compat("Cloudflare Access")
            .accept_type("JWT")
            .scope_claim(ScopeClaim::none())
            .client_claim("common_name")
            .dangerous_waive(RequiredClaim::Subject)
            .dangerous_waive(RequiredClaim::ClientId)
            .dangerous_waive(RequiredClaim::TokenId)
            .evidence(Evidence::claim("type", "app"))
            .evidence(Evidence::any_of([Evidence::claim_present("sub"), Evidence::claim_present("common_name")]))
    }

    /// Access tokens of Amazon Cognito.
    ///
    /// | `typ` | scope | client | not required | evidence |
    /// |---|---|---|---|---|
    /// | absent | `scope`, a string | `client_id` | | `token_use` is `access` (unverified) |
    ///
    /// They name no audience unless resource binding is used (unverified), so they pass only where
    /// [`dangerous_waive_audience`](crate::Issuer::dangerous_waive_audience) is called and the clients are listed instead.
    /// `cognito:groups` grants no scopes. A sign-in without OAuth also yields access tokens, with a scope of Cognito's own.
    pub fn cognito() -> Self {
        Self::compat("Amazon Cognito").accept_absent_type().evidence(Evidence::claim("token_use", "access"))
    }

    /// Identity tokens of GitHub Actions, from **any workflow of any repository**.
    ///
    /// | `typ` | scope | client | not required | evidence |
    /// |---|---|---|---|---|
    /// | `JWT` | none | none | | a `repository_id` (unverified) |
    ///
    /// Everybody can have a repository, and a workflow chooses the audience by itself. So a good token says who is asking and
    /// grants nothing, and a route that demands no more than a token is open to the world. Say which repositories may call:
    ///
    /// ```
    /// use scopegate_core::jwt::{Evidence, Profile};
    ///
    /// let profile = Profile::dangerous_github_actions().evidence(Evidence::claim_one_of("repository_id", ["1296269"]));
    /// ```
    ///
    /// or check `repository_id`, `repository_owner_id`, `ref` and `environment` in the handlers (names unverified). Names of
    /// repositories may come to belong to another owner, and the form of `sub` is the owner's choice. A custom audience is
    /// demanded: GitHub's default, the address of the owner, is refused when the resource server is built.
    pub fn dangerous_github_actions() -> Self {
        Self::compat("GitHub Actions")
            .accept_type("JWT")
            .scope_claim(ScopeClaim::none())
            .no_client_claim()
            .evidence(Evidence::claim_present("repository_id"))
            .peculiar(Peculiarity::CustomAudience)
    }

    /// Access tokens of Duende IdentityServer.
    ///
    /// | `typ` | scope | client | not required | evidence |
    /// |---|---|---|---|---|
    /// | `at+jwt` | `scope`, an array or a string | `client_id` | `sub` | its `typ` |
    ///
    /// Tokens of machines have no `sub` (unverified). The audience is an API resource; where only API scopes are used there
    /// is none (unverified), and the token is refused. Reference tokens are no JWTs and are refused.
    pub fn duende() -> Self {
        Self::rfc9068()
            .named("Duende IdentityServer")
            .scope_claim(ScopeClaim::string_or_array("scope"))
            .dangerous_waive(RequiredClaim::Subject)
    }

    /// Access tokens of Microsoft Entra ID, version 1: those of an API whose manifest does not ask for version 2.
    ///
    /// | `typ` | scope | client | not required | evidence |
    /// |---|---|---|---|---|
    /// | `JWT` | `scp`, a string | `appid` | `jti` | an `scp` that is not empty, `idtyp` of `app`, or the same in `oid` and `sub` |
    ///
    /// The issuer is `https://sts.windows.net/<tenant>/`. The audience is the API's URI as the client wrote it, or its client
    /// id: name each that may occur. All else is as in [`entra_v2`](Self::entra_v2).
    pub fn entra_v1() -> Self {
        Self::entra("Microsoft Entra ID v1", "appid")
    }

    /// Access tokens of Microsoft Entra ID, version 2.
    ///
    /// | `typ` | scope | client | not required | evidence |
    /// |---|---|---|---|---|
    /// | `JWT` | `scp`, a string | `azp` | `jti` | an `scp` that is not empty, `idtyp` of `app`, or the same in `oid` and `sub` |
    ///
    /// The issuer is `https://login.microsoftonline.com/<tenant>/v2.0` and the audience is the API's client id. `tid` has to
    /// be a GUID, and the one that the issuer contains. Know users by [`principal`](crate::VerifiedToken::principal), or by
    /// `tid` with `oid`.
    ///
    /// `roles` and `groups` grant no scopes. A token of an application that acts for itself has no `scp`, and `roles` is no
    /// evidence, since ID tokens have it too. It is recognised by its `oid`, which is its `sub` as well (of a user they differ,
    /// since `sub` is made for each application; unverified), or by the optional claim `idtyp`, which is then `app`
    /// (unverified); and it has no scopes. [`is_client`](crate::VerifiedToken::is_client) does not know such a token, whose
    /// `sub` is not its client id. Groups that did not fit, `acrs` and `xms_cc` are ignored. Tokens for Microsoft Graph can be
    /// verified by Microsoft alone. A key whose member `issuer` is another tenant's is not used.
    ///
    /// An API for many tenants trusts them by a template, and says which:
    ///
    /// ```
    /// use scopegate_core::{ResourceServer, Tenants, jwt::Profile};
    ///
    /// let customers = ["9188040d-6c67-4c5b-b112-36a304b66dad"];
    /// let builder = ResourceServer::builder().tenants(
    ///     Tenants::template("https://login.microsoftonline.com/{tenant}/v2.0", move |tenant| customers.contains(&tenant))
    ///         .settings(|issuer| issuer.audiences(["6731de76-14a6-49ae-97bc-6eba6914391e"]).profile(Profile::entra_v2())),
    /// );
    /// ```
    pub fn entra_v2() -> Self {
        Self::entra("Microsoft Entra ID v2", "azp").with_keys_that_name_their_issuer()
    }

    fn entra(name: &'static str, client_claim: &'static str) -> Self {
        Self::compat(name)
            .accept_type("JWT")
            .scope_claim(ScopeClaim::string("scp"))
            .client_claim(client_claim)
            .dangerous_waive(RequiredClaim::TokenId)
            .evidence(Evidence::any_of([
                scope_in("scp"),
                Evidence::claim("idtyp", "app"),
                Evidence::claims_equal("oid", "sub"),
            ]))
            .peculiar(Peculiarity::TenantInIssuer)
    }

    /// Access tokens of GenAuth, formerly Authing.
    ///
    /// | `typ` | scope | client | not required | evidence |
    /// |---|---|---|---|---|
    /// | `JWT` | `scope`, a string | `azp`, else the sole audience | `sub` `azp` `jti` | a `scope` that is not empty |
    ///
    /// ID tokens of the same issuer have the same `aud` and are signed with the same keys. Tokens of machines have no `sub`,
    /// and name the client in `azp`; in tokens of users the client is the audience.
    ///
    /// Scopes compare exactly under this profile too: its wildcards are [`GenAuthScopes`](crate::GenAuthScopes), and have to
    /// be chosen for the issuer.
    pub fn genauth() -> Self {
        Self::compat("GenAuth")
            .accept_type("JWT")
            .client_claim("azp")
            .client_is_sole_audience()
            .dangerous_waive(RequiredClaim::Subject)
            .dangerous_waive(RequiredClaim::TokenId)
            .evidence(scope_in("scope"))
    }

    /// Identity tokens of Google's service accounts. Access tokens of Google are opaque.
    ///
    /// | `typ` | scope | client | not required | evidence |
    /// |---|---|---|---|---|
    /// | `JWT` (unverified) | none | `azp` | `jti` | `azp` equals `sub` (unverified) |
    ///
    /// A service account asks for a token for an audience of its choice, and is its subject and authorized party by its
    /// unique id. When a user signs in, the authorized party is the application, so the ID tokens of users are refused, for
    /// whatever audience. Google has two names for itself, `https://accounts.google.com` and `accounts.google.com`; configure
    /// two issuers, the second with [`with_jwks_uri`](crate::Issuer::with_jwks_uri), since it is no address.
    ///
    /// Anyone can have a service account, so [`authorized_parties`](crate::Issuer::authorized_parties) is demanded when
    /// the resource server is built: the unique ids that may call. With them this is no weakening.
    pub fn google() -> Self {
        Self::compat("Google")
            .accept_type("JWT")
            .scope_claim(ScopeClaim::none())
            .client_claim("azp")
            .dangerous_waive(RequiredClaim::TokenId)
            .evidence(Evidence::claims_equal("azp", "sub"))
            .peculiar(Peculiarity::OpenToAll)
    }

    /// Access tokens of Kanidm: those of [`rfc9068`](Self::rfc9068) (`typ: at+jwt` is unverified).
    ///
    /// Issuer, keys and scopes are of one client each, so every client is an issuer here. A `nonce` is fine: `typ` says what
    /// the token is. Older releases issue opaque tokens, which are refused.
    pub fn kanidm() -> Self {
        Self::rfc9068().named("Kanidm")
    }

    /// Access tokens of Keycloak.
    ///
    /// | `typ` | scope | client | not required | evidence |
    /// |---|---|---|---|---|
    /// | `JWT` (unverified) or `at+jwt` | `scope`, a string (unverified) | `azp` (unverified) | | the claim `typ` is `Bearer` or `DPoP` |
    ///
    /// A fresh realm names no audience but `account`: add an audience mapper for the API. Roles (`realm_access`,
    /// `resource_access`) grant no scopes unless [`scope_claim`](Self::scope_claim) names them. A token of type `DPoP` is
    /// bound to a key and needs its proof. Lightweight tokens that drop claims (unverified) are refused. A `nonce`, which
    /// Keycloak repeats in access tokens, is fine: the claim `typ` says what the token is.
    pub fn keycloak() -> Self {
        Self::compat("Keycloak")
            .accept_type("JWT")
            .accept_type("at+jwt")
            .client_claim("azp")
            .evidence(Evidence::claim_one_of("typ", ["Bearer", "DPoP"]))
    }

    /// Tokens of Kubernetes service accounts for a chosen audience.
    ///
    /// | `typ` | scope | client | not required | evidence |
    /// |---|---|---|---|---|
    /// | absent | none | none | `jti` | a claim `kubernetes.io` that is not empty, and `sub` begins with `system:serviceaccount:` |
    ///
    /// There are no scopes: a good token says which workload is asking, by its
    /// [`principal`](crate::VerifiedToken::principal), and the handlers say which may. Legacy tokens of secrets, which never
    /// expire and name no audience, are refused. Whether the pod still exists is not asked.
    ///
    /// It is no weakening: these keys sign no other kind of token, the audience is this API, and only workloads of that
    /// cluster can be issued one.
    pub fn kubernetes() -> Self {
        Self::compat("Kubernetes")
            .accept_absent_type()
            .scope_claim(ScopeClaim::none())
            .no_client_claim()
            .dangerous_waive(RequiredClaim::TokenId)
            .evidence(Evidence::claim_present("kubernetes.io"))
            .evidence(Evidence::prefix("sub", "system:serviceaccount:"))
    }

    /// Access tokens of Logto: those of [`rfc9068`](Self::rfc9068) (`typ: at+jwt` is unverified), but `client_id` is not
    /// required.
    ///
    /// The audience is a resource indicator. Where none was asked for, the token is opaque (unverified) and refused.
    /// `organization_id` is not looked at.
    pub fn logto() -> Self {
        Self::rfc9068().named("Logto").dangerous_waive(RequiredClaim::ClientId)
    }

    /// Access tokens of node-oidc-provider in its JWT format: those of [`rfc9068`](Self::rfc9068).
    ///
    /// Run against the real server in the tests.
    pub fn node_oidc_provider() -> Self {
        Self::rfc9068().named("node-oidc-provider")
    }

    /// Access tokens of a custom authorization server of Okta.
    ///
    /// | `typ` | scope | client | not required | evidence |
    /// |---|---|---|---|---|
    /// | absent (unverified) | `scp`, an array (unverified) | `cid` | | an `scp` that is not empty |
    ///
    /// The issuer is `https://<org>/oauth2/<server>` (unverified). Tokens of the org authorization server (`https://<org>`)
    /// are for Okta alone to read: do not configure it.
    pub fn okta() -> Self {
        Self::compat("Okta")
            .accept_absent_type()
            .scope_claim(ScopeClaim::array("scp"))
            .client_claim("cid")
            .evidence(scope_in("scp"))
    }

    /// Access tokens of Ory Hydra and Ory Network in the JWT strategy.
    ///
    /// | `typ` | scope | client | not required | evidence |
    /// |---|---|---|---|---|
    /// | `JWT` (unverified) | `scp`, else `scope`, an array or a string | `client_id` (unverified) | | the scope claim, not empty |
    ///
    /// Of the two names the first that a token has counts, whatever is in the other. Audiences are empty unless the client
    /// asked for one (unverified), and such tokens are refused. By default tokens are opaque, and refused. Scopes compare
    /// exactly, whatever scope strategy the server is run with.
    pub fn ory_hydra() -> Self {
        Self::compat("Ory Hydra")
            .accept_type("JWT")
            .scope_claim(ScopeClaim::first_of([
                ScopeClaim::string_or_array("scp"),
                ScopeClaim::string_or_array("scope"),
            ]))
            .evidence(Evidence::any_of([scope_in("scp"), scope_in("scope")]))
    }

    /// Access tokens of PingOne.
    ///
    /// | `typ` | scope | client | not required | evidence |
    /// |---|---|---|---|---|
    /// | absent or `at+jwt` | `scope`, a string (unverified) | `client_id` (unverified) | `sub` `jti` | a `scope` that is not empty |
    ///
    /// From 2 March 2027 on, `typ` is always `at+jwt`. Tokens of machines may have no `sub` (unverified).
    pub fn pingone() -> Self {
        Self::compat("PingOne")
            .accept_absent_type()
            .accept_type("at+jwt")
            .dangerous_waive(RequiredClaim::Subject)
            .dangerous_waive(RequiredClaim::TokenId)
            .evidence(scope_in("scope"))
    }

    /// Access tokens of Spring Authorization Server, as its generator makes them.
    ///
    /// | `typ` | scope | client | not required | evidence |
    /// |---|---|---|---|---|
    /// | absent | `scope`, an array | the sole audience | `jti` | a `scope` that is not empty |
    ///
    /// The audience is the client's id, which is also that of its ID tokens: name each client that may call as an audience.
    /// A token that names the API instead, by a customizer of yours, has the API's name for its client; add the client to
    /// such tokens, and name its claim with [`client_claim`](Self::client_claim).
    pub fn spring_authorization_server() -> Self {
        Self::compat("Spring Authorization Server")
            .accept_absent_type()
            .scope_claim(ScopeClaim::array("scope"))
            .no_client_claim()
            .client_is_sole_audience()
            .dangerous_waive(RequiredClaim::TokenId)
            .evidence(scope_in("scope"))
    }

    /// JWT access tokens of ZITADEL. By default its access tokens are opaque, and refused.
    ///
    /// | `typ` | scope | client | not required | evidence |
    /// |---|---|---|---|---|
    /// | `JWT` (unverified) | none | `azp` | | a `jti`, and neither `auth_time`, `amr` nor `acr` |
    ///
    /// By the vendor's matrix of claims, access tokens have `jti` and ID tokens do not; ID tokens have the other three, and
    /// access tokens do not. Otherwise they are alike, down to the audience, which is the project and all of its clients.
    ///
    /// There are no scopes. Roles (`urn:zitadel:iam:org:project:roles`) grant none by themselves; read them from the claims.
    pub fn zitadel() -> Self {
        Self::compat("ZITADEL")
            .accept_type("JWT")
            .scope_claim(ScopeClaim::none())
            .client_claim("azp")
            .evidence(Evidence::claim_present("jti"))
            .foreign_claim("auth_time")
            .foreign_claim("amr")
            .foreign_claim("acr")
    }
}
