//! The settings of cached keys and cached JWTs.

use serde::Deserialize;

use super::{
    place::{Place, table},
    value::Quantity,
};
use crate::{jwt::JwtCacheConfig, keys::KeyRefresh};

table! {
    pub(super) struct RefreshTable {
        cool_down: Option<Quantity>,
        min_interval: Option<Quantity>,
        max_interval: Option<Quantity>,
        stale_if_error: Option<Quantity>,
        timeout: Option<Quantity>,
        max_document: Option<Quantity>,
        max_keys: Option<Quantity>,
    }
}

impl RefreshTable {
    /// These settings, with those of `refresh` for the omitted ones.
    pub(super) fn over(self, mut refresh: KeyRefresh, place: &mut Place<'_>) -> KeyRefresh {
        place.unknown("key_refresh.", self.unknown, Self::NAMES);
        for (setting, given, time) in [
            ("key_refresh.cool_down", self.cool_down, &mut refresh.cool_down),
            ("key_refresh.min_interval", self.min_interval, &mut refresh.min_interval),
            ("key_refresh.max_interval", self.max_interval, &mut refresh.max_interval),
            ("key_refresh.stale_if_error", self.stale_if_error, &mut refresh.stale_if_error),
            ("key_refresh.timeout", self.timeout, &mut refresh.timeout),
        ] {
            if let Some(given) = place.read(setting, given, Quantity::duration) {
                *time = given;
            }
        }
        for (setting, given, size) in [
            ("key_refresh.max_document", self.max_document, &mut refresh.max_document),
            ("key_refresh.max_keys", self.max_keys, &mut refresh.max_keys),
        ] {
            if let Some(given) = place.read(setting, given, Quantity::size) {
                *size = given;
            }
        }
        refresh
    }
}

table! {
    pub(super) struct JwtCacheTable {
        max_bytes: Option<Quantity>,
        max_entries: Option<Quantity>,
    }
}

impl JwtCacheTable {
    pub(super) fn read(self, place: &mut Place<'_>) -> JwtCacheConfig {
        place.unknown("jwt_cache.", self.unknown, Self::NAMES);
        let mut cache = JwtCacheConfig::default();
        if let Some(bytes) = place.read("jwt_cache.max_bytes", self.max_bytes, Quantity::size) {
            cache = cache.max_bytes(bytes);
        }
        if let Some(entries) = place.read("jwt_cache.max_entries", self.max_entries, Quantity::size) {
            cache = cache.max_entries(entries);
        }
        cache
    }
}
