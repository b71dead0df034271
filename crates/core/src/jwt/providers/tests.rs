use super::*;
use crate::config::origin::Origin;

const TENANT_ID: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

fn settings(issuer: &'static str) -> Settings<'static> {
    Settings {
        issuer,
        origin: &Origin::Code,
        audiences: &[],
        audience_waived: false,
        has_parties: true,
        is_template: false,
    }
}

#[test]
fn names_are_sorted_and_each_is_that_of_a_profile() {
    assert!(Profile::names().is_sorted());
    for name in Profile::names() {
        assert!(Profile::by_name(name).is_some(), "{name}");
        assert!(Profile::by_name(&name.to_uppercase()).is_none(), "{name}");
    }
    for unknown in ["", "entra", "entra_v2", "Auth0", "github-actions", "compat"] {
        assert!(Profile::by_name(unknown).is_none(), "{unknown}");
    }
}

#[test]
fn an_issuer_of_entra_id_that_is_in_no_token_is_a_misfit() {
    let misfits =
        |issuer, is_template| Profile::entra_v2().misfits(&Settings { is_template, ..settings(issuer) }).len();
    assert_eq!(misfits("https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0", false), 0);
    for never in [
        "https://login.microsoftonline.com/common/v2.0",
        "https://login.microsoftonline.com/contoso.onmicrosoft.com/v2.0",
        "https://login.microsoftonline.com/9188040D-6C67-4C5B-B112-36A304B66DAD/v2.0",
    ] {
        assert_eq!((misfits(never, false), misfits(never, true)), (1, 0), "{never}");
    }
}

#[test]
fn at_2_every_profile_demands_evidence() {
    for name in Profile::names() {
        assert_eq!(Profile::by_name(name).unwrap().fault(), None, "{name}");
    }
}

#[test]
fn at_2_no_two_profiles_have_a_name_for_messages_in_common() {
    let mut names: Vec<_> = BY_NAME.iter().map(|(_, profile)| profile().name().to_owned()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), BY_NAME.len());
}

#[test]
fn a_tenant_is_a_guid_and_the_first_segment_of_the_issuer() {
    for issuer in [
        format!("https://sts.windows.net/{TENANT_ID}/"),
        format!("https://login.microsoftonline.com/{TENANT_ID}/v2.0"),
        format!("https://login.partner.microsoftonline.cn/{TENANT_ID}/v2.0"),
    ] {
        assert_eq!(entra_tenant(&issuer), Some(TENANT_ID), "{issuer}");
    }
    for issuer in [
        "",
        "https://",
        "https://sts.windows.net",
        "https://sts.windows.net/",
        "https://login.microsoftonline.com/{tenantid}/v2.0",
        "https://login.microsoftonline.com/organizations/v2.0",
        "https://login.microsoftonline.com/x/9188040d-6c67-4c5b-b112-36a304b66dad",
        "http://sts.windows.net/9188040d-6c67-4c5b-b112-36a304b66dad/",
        "https://sts.windows.net/9188040d6c674c5bb11236a304b66dad/",
        "https://sts.windows.net/9188040d-6c67-4c5b-b112-36a304b66dag/",
        "https://sts.windows.net/9188040d-6c67-4c5b-b112-36a304b66dad-/",
    ] {
        assert_eq!(entra_tenant(issuer), None, "{issuer}");
    }
}

#[test]
fn jwt_3_an_audience_is_waived_only_with_clients_and_a_token_that_says_what_it_is() {
    let misfits = |profile: Profile, has_parties| {
        let settings =
            Settings { audience_waived: true, has_parties, is_template: true, ..settings("https://as.example") };
        profile.misfits(&settings).len()
    };
    for named in [Profile::cognito(), Profile::keycloak(), Profile::duende(), Profile::rfc9068()] {
        assert_eq!(misfits(named.clone(), true), 0, "{named:?}");
        assert_eq!(misfits(named, false), 1);
    }
    for unnamed in [Profile::genauth(), Profile::okta(), Profile::auth0(), Profile::entra_v2(), Profile::zitadel()] {
        assert_eq!(misfits(unnamed.clone(), true), 1, "{unnamed:?}");
        assert_eq!(misfits(unnamed, false), 2);
    }
    let either = Evidence::any_of([Evidence::scope_claim(), Evidence::claim("token_use", "access")]);
    assert_eq!(misfits(Profile::compat("x").accept_type("JWT").evidence(either), true), 1, "it may say nothing");
    let subject = Evidence::claim("sub", "x");
    assert_eq!(misfits(Profile::compat("x").accept_type("JWT").evidence(subject), true), 1);
}

#[test]
fn authorized_parties_of_tokens_without_a_client_do_not_fit() {
    for profile in [Profile::kubernetes(), Profile::dangerous_github_actions()] {
        assert_eq!(profile.misfits(&settings("https://as.example")).len(), 1);
    }
    assert!(Profile::spring_authorization_server().misfits(&settings("https://as.example")).is_empty());
}

#[test]
fn github_s_default_audience_is_none() {
    let profile = Profile::dangerous_github_actions();
    for (issuer, audience, fits) in [
        ("https://token.actions.githubusercontent.com", "https://github.com/octo-org", false),
        ("https://token.actions.githubusercontent.com", "https://github.com", false),
        ("https://token.actions.githubusercontent.com", "https://github.community/x", true),
        ("https://token.actions.githubusercontent.com", "https://api.example", true),
        ("https://ghes.example/_services/token", "https://ghes.example/octo-org", false),
        ("https://ghes.example/_services/token", "https://api.example", true),
    ] {
        let audiences = ["api".to_owned(), audience.to_owned()];
        let settings = Settings { audiences: &audiences, has_parties: false, ..settings(issuer) };
        assert_eq!(profile.misfits(&settings).is_empty(), fits, "{audience}");
    }
}

#[test]
fn accounts_of_google_are_listed() {
    let open = Settings { has_parties: false, ..settings("https://accounts.google.com") };
    assert_eq!(Profile::google().misfits(&open).len(), 1);
    assert!(Profile::google().misfits(&settings("https://accounts.google.com")).is_empty());
}

#[test]
fn at_2_another_scope_claim_does_not_move_the_evidence_of_a_provider() {
    for name in Profile::names() {
        let profile = Profile::by_name(name).unwrap().scope_claim(ScopeClaim::string_or_array("roles"));
        let id_token = crate::jose::json::object(br#"{"roles":["admin"],"sub":"alice"}"#, |_| true).unwrap();
        let claim = |name: &str| id_token.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        let is_strict = profile.check_type(Some("JWT")).is_err() && profile.check_type(None).is_err();
        assert!(is_strict || profile.check_evidence(claim).is_err(), "{name}");
    }
}
