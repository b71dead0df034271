//! What an unknown name may have been meant for.

use std::collections::BTreeMap;

use super::{
    Config,
    binding::{CertificateTable, DpopTable},
    caching::{JwtCacheTable, RefreshTable},
    env::{UNKNOWN, numbered},
    introspection::{CacheTable, IntrospectionTable, LimitsTable},
    issuer::{HeaderTable, IssuerTable},
    place::variable,
    resource::ResourceTable,
};

/// How many characters a misspelt name may differ in.
const MAX_DISTANCE: usize = 2;

/// The variable that an unknown one may have been meant for, both without the prefix.
pub(super) fn meant(name: &str) -> Option<String> {
    let of_issuer = [
        ("", IssuerTable::NAMES),
        ("KEY_REFRESH_", RefreshTable::NAMES),
        ("JWKS_HEADER_", HeaderTable::NAMES),
        ("INTROSPECTION_", IntrospectionTable::NAMES),
        ("INTROSPECTION_CACHE_", CacheTable::NAMES),
        ("INTROSPECTION_LIMITS_", LimitsTable::NAMES),
    ];
    let of_all = [
        ("", Config::NAMES),
        ("JWT_CACHE_", JwtCacheTable::NAMES),
        ("PROTECTED_RESOURCE_", ResourceTable::NAMES),
        ("DPOP_", DpopTable::NAMES),
        ("CERTIFICATE_BINDING_", CertificateTable::NAMES),
    ];
    let (entry, setting) = match numbered(name) {
        Some((number, setting)) => (format!("ISSUER_{number}_"), setting),
        None => (String::new(), name),
    };
    let tables = of_issuer.into_iter().chain(of_all.into_iter().filter(|_| entry.is_empty()));
    let variables = tables.flat_map(|(table, names)| names.iter().map(move |name| variable(table, name)));
    // Some settings are tables, or are for files alone.
    let known: Vec<String> = variables
        .map(|variable| format!("{entry}{variable}"))
        .filter(|variable| {
            Config::default().set(variable, "x".into(), &mut BTreeMap::new()).err().is_none_or(|fault| fault != UNKNOWN)
        })
        .collect();
    let candidates = known.iter().map(|known| &known[entry.len()..]);
    Some(format!("{entry}{}", nearest(&setting.to_uppercase(), candidates)?))
}

/// Where a file has the setting of this name, if only one of its tables does.
pub(super) fn home(name: &str) -> Option<String> {
    let tables = [
        ("issuers", IssuerTable::NAMES),
        ("introspection", IntrospectionTable::NAMES),
        ("introspection.cache", CacheTable::NAMES),
        ("introspection.limits", LimitsTable::NAMES),
        ("key_refresh", RefreshTable::NAMES),
        ("jwt_cache", JwtCacheTable::NAMES),
        ("protected_resource", ResourceTable::NAMES),
        ("dpop", DpopTable::NAMES),
        ("certificate_binding", CertificateTable::NAMES),
    ];
    if Config::NAMES.contains(&name) {
        return Some("at the top of the file, before the first table".to_owned());
    }
    let mut homes = tables.into_iter().filter(|(_, names)| names.contains(&name)).map(|(table, _)| table);
    let home = homes.next()?;
    homes.next().is_none().then(|| format!("in `{home}`"))
}

/// The one of the `known` names that is nearest to `name`, if it differs in one or two characters, and in less than half of its own.
pub(super) fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let near = known.into_iter().filter_map(|known| {
        let is_near = known.len().abs_diff(name.len()) <= MAX_DISTANCE;
        let distance = is_near.then(|| distance(name, known)).filter(|distance| *distance <= MAX_DISTANCE)?;
        (2 * distance < known.len()).then_some((distance, known))
    });
    near.min_by_key(|(distance, _)| *distance).map(|(_, known)| known)
}

/// How many characters have to be inserted, removed or replaced.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (at, own) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, others) in other.chars().enumerate() {
            let replaced = diagonal + usize::from(own != others);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_is_the_least_number_of_changes() {
        for (one, other, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("leeway", "leeway", 0),
            ("leway", "leeway", 1),
            ("leeeway", "leeway", 1),
            ("leewax", "leeway", 1),
            ("elevay", "leeway", 3),
            ("secert", "secret", 2),
            ("kitten", "sitting", 3),
            ("\u{e9}", "e", 1),
        ] {
            assert_eq!((distance(one, other), distance(other, one)), (expected, expected), "{one} {other}");
        }
    }

    #[test]
    fn the_nearest_name_is_meant_if_it_is_near() {
        let known = ["ttl", "name", "leeway", "min_interval", "max_interval"];
        for (name, expected) in [
            ("leway", Some("leeway")),
            ("leewya", Some("leeway")),
            ("naem", None),
            ("names", Some("name")),
            ("tl", Some("ttl")),
            ("x", None),
            ("", None),
            ("min_intervals", Some("min_interval")),
            ("mac_interval", Some("max_interval")),
            ("an-interval", None),
        ] {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
    }
}
