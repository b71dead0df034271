use super::*;

fn tenants(template: &str) -> Tenants {
    Tenants::template(template, |tenant| tenant != "stranger")
}

#[test]
fn a_tenant_fits_the_template_and_is_trusted() {
    assert_eq!(Tenants::trusting("everybody", |_| true).name(), "everybody");
    let tenants = tenants("https://idp.example/{tenant}/v2.0");
    for good in ["https://idp.example/a/v2.0", "https://idp.example/a-b.c_d~1/v2.0".replace('_', "-").as_str()] {
        assert_eq!(tenants.resolve(good).unwrap().identifier, good);
    }
    for bad in [
        "",
        "https://idp.example/stranger/v2.0",
        "https://idp.example//v2.0",
        "https://idp.example/v2.0",
        "https://idp.example/./v2.0",
        "https://idp.example/../v2.0",
        "https://idp.example/a/b/v2.0",
        "https://idp.example/a%2fb/v2.0",
        "https://idp.example/a?/v2.0",
        "https://idp.example/a#/v2.0",
        "https://idp.example/a b/v2.0",
        "https://idp.example/\u{e4}/v2.0",
        "https://idp.example/{tenant}/v2.0",
        "https://idp.example/a/v2.0/",
        "HTTPS://idp.example/a/v2.0",
        "https://other.example/a/v2.0",
    ] {
        assert!(tenants.resolve(bad).is_none(), "{bad}");
    }
    let long = |length: usize| format!("https://idp.example/{}/v2.0", "a".repeat(length));
    assert!(tenants.resolve(&long(256)).is_some() && tenants.resolve(&long(257)).is_none());
}

#[test]
fn a_tenant_in_the_host_cannot_choose_another_one() {
    let tenants = tenants("https://{tenant}.idp.example/");
    assert!(tenants.resolve("https://a.idp.example/").is_some());
    for bad in [
        "https://evil.example/.idp.example/",
        "https://evil.example:443.idp.example/",
        "https://a@b.idp.example/",
        "https://evil.example?.idp.example/",
        "https://evil.example#.idp.example/",
        "https://evil.example\\.idp.example/",
        "https://.idp.example/",
    ] {
        assert!(tenants.resolve(bad).is_none(), "{bad}");
    }
}

#[test]
fn a_predicate_over_whole_identifiers_sees_only_issuers() {
    let tenants = Tenants::trusting("all", |_| true);
    assert!(tenants.resolve("https://anything.example/x").is_some());
    for bad in ["", "anything", "http://anything.example", "https://a?b", "https://a#b", "file:///etc/passwd"] {
        assert!(tenants.resolve(bad).is_none(), "{bad}");
    }
}

#[test]
fn a_template_that_no_tenant_could_fit_is_at_fault() {
    assert_eq!(tenants("https://idp.example/{tenant}").fault(), None);
    assert_eq!(Tenants::trusting("x", |_| true).fault(), None);
    for bad in [
        "https://idp.example",
        "https://{tenant}.x/{tenant}",
        "http://idp.example/{tenant}",
        "{tenant}.x",
        "https://{tenant}",
        "https://{tenant}/oidc",
        "https://{tenant}.com/",
        "https://idp.example{tenant}",
        "https://idp.example{tenant}/x",
        "https://idp.example:{tenant}/",
        "https://a:{tenant}.idp.example/",
    ] {
        assert!(tenants(bad).fault().is_some(), "{bad}");
    }
    assert!(tenants("https://idp.example/{tenant}").max_live(0).fault().is_some());
    let other_keys = tenants("https://idp.example/{tenant}").settings(|_| Issuer::with_jwks("https://x", "{}"));
    assert!(other_keys.fault().is_some());
    let one_document =
        tenants("https://idp.example/{tenant}").settings(|issuer| issuer.metadata_url("https://idp.example/m"));
    assert!(one_document.fault().is_some());
}

#[test]
fn meta_5_tenants_whose_keys_are_given_have_names() {
    let realms = tenants("http://localhost:8080/realms/{tenant}").jwks_uri("https://idp.example/{tenant}/certs");
    assert_eq!(realms.fault(), None);
    let shop = realms.resolve("http://localhost:8080/realms/shop").unwrap();
    assert_eq!(shop.identifier, "http://localhost:8080/realms/shop");
    assert!(matches!(shop.keys, Keys::Url(url) if url == "https://idp.example/shop/certs"));
    for stranger in ["http://localhost:8080/realms/stranger", "http://localhost:8080/realms/a/b", "urn:x:shop"] {
        assert!(realms.resolve(stranger).is_none(), "{stranger}");
    }
    let of_one_set = tenants("urn:corp:{tenant}").jwks_uri("https://idp.example/certs");
    assert_eq!(of_one_set.fault(), None);
    assert!(
        matches!(of_one_set.resolve("urn:corp:a").unwrap().keys, Keys::Url(url) if url == "https://idp.example/certs")
    );
    let whole = Tenants::trusting("all", |issuer| issuer == "Our issuer").jwks_uri("https://idp.example/certs");
    assert_eq!(whole.fault(), None);
    assert!(whole.resolve("Our issuer").is_some() && whole.resolve("Another").is_none());
}

#[test]
fn tenants_do_not_choose_the_host_of_their_keys() {
    for address in
        ["https://{tenant}", "https://{tenant}.com/", "https://idp.example:{tenant}/", "https://h/{tenant}/{tenant}"]
    {
        assert!(tenants("urn:corp:{tenant}").jwks_uri(address).fault().is_some(), "{address}");
    }
    let whole = Tenants::trusting("all", |_| true).jwks_uri("https://idp.example/{tenant}");
    assert!(whole.fault().is_some(), "a whole identifier is no part of a path");
    assert_eq!(tenants("urn:{tenant}").jwks_uri("https://{tenant}.idp.example/certs").fault(), None);
}

#[test]
fn a_template_has_one_placeholder_and_something_around_it() {
    for (template, is_one) in [
        ("https://idp.example/{tenant}", true),
        ("{tenant}.idp.example", true),
        ("https://idp.example/", false),
        ("https://idp.example/{tenant}/{tenant}", false),
        ("{tenant}", false),
        ("", false),
    ] {
        assert_eq!(tenants(template).template.is_some(), is_one, "{template}");
    }
}

#[test]
fn tenants_print_their_name_and_settings() {
    let printed = format!("{:?}", Tenants::trusting("everybody", |_| true).max_live(7));
    assert!(printed.starts_with(r#"Tenants { name: "everybody", max_live: 7, settings: Issuer {"#), "{printed}");
}
