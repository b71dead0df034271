//! What a client can read, by `Accept` and `Accept-Language` (RFC 9110 §12).
//!
//! Nothing here fails: a part of a field that cannot be read counts as if it were not there.

use http::HeaderValue;

/// The language ranges of a request that are looked at. Browsers send fewer than ten.
const MAX_LANGUAGE_RANGES: usize = 32;

/// The longest language range that is looked at, in characters. RFC 5646 §4.4.1 asks for 35.
const MAX_LANGUAGE_RANGE: usize = 64;

/// How much the client wants this media type, from 0, which is not at all, to 1 (RFC 9110 §12.5.1). A request without `Accept`
/// wants everything. Who takes JSON, takes every kind of it.
///
/// The most specific range decides; of two equally specific, the more permissive one.
pub(super) fn media_type_weight<'h>(accept: impl IntoIterator<Item = &'h HeaderValue>, media_type: &str) -> f32 {
    let mut lines = accept.into_iter().peekable();
    if lines.peek().is_none() {
        return 1.0;
    }
    let matching = weighted_ranges(lines).filter_map(|(range, weight)| Some((specificity(range, media_type)?, weight)));
    let best = matching.reduce(|best, next| if next > best { next } else { best });
    best.map_or(0.0, |(_, weight)| weight)
}

/// The media type that the client wants most; of several, the first.
pub(super) fn preferred_media_type<'h, 't>(
    accept: impl IntoIterator<Item = &'h HeaderValue> + Clone,
    available: &[&'t str],
) -> Option<&'t str> {
    let weights = available.iter().map(|media_type| (*media_type, media_type_weight(accept.clone(), media_type)));
    let wanted = weights.filter(|(_, weight)| *weight > 0.0);
    wanted.reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(media_type, _)| media_type)
}

/// The language that the client wants most, by the Lookup of RFC 4647 §3.4. `*` stands for the first.
pub(super) fn preferred_language<'h, 't>(
    accept_language: impl IntoIterator<Item = &'h HeaderValue>,
    available: &[&'t str],
) -> Option<&'t str> {
    let is_range = |range: &str| {
        let is_tag = range.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        range == "*" || (is_tag && (1..=MAX_LANGUAGE_RANGE).contains(&range.len()))
    };
    let mut ranges: Vec<_> = weighted_ranges(accept_language.into_iter())
        .filter(|(range, _)| is_range(range))
        .take(MAX_LANGUAGE_RANGES)
        .collect();
    ranges.sort_by(|(_, weight), (_, other)| other.total_cmp(weight));

    // The longest range that covers a language says whether it is refused.
    let is_refused = |tag: &str| {
        let covering = ranges.iter().filter(|(range, _)| covers(range, tag));
        covering.max_by_key(|(range, _)| range.len()).is_some_and(|(_, weight)| *weight <= 0.0)
    };
    let find = |range: &str| {
        let is_it = |tag: &&str| tag.eq_ignore_ascii_case(range) && !is_refused(tag);
        available.iter().copied().find(is_it)
    };
    let wanted = || ranges.iter().filter(|(_, weight)| *weight > 0.0).map(|(range, _)| *range);
    let named = wanted().find_map(|range| std::iter::successors(Some(range), |range| shortened(range)).find_map(find));
    let any = || available.iter().copied().find(|tag| !is_refused(tag));
    named.or_else(|| wanted().any(|range| range == "*").then(any).flatten())
}

/// The ranges of a field, in their order, each with its weight (RFC 9110 §12.4.2). A weight that is no number counts as none.
fn weighted_ranges<'h>(lines: impl Iterator<Item = &'h HeaderValue>) -> impl Iterator<Item = (&'h str, f32)> {
    let items = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    items.map(|item| {
        let mut parts = item.split(';').map(str::trim);
        (parts.next().unwrap_or_default(), parts.find_map(weight).unwrap_or(1.0))
    })
}

/// The weight, where the parameter is one.
fn weight(parameter: &str) -> Option<f32> {
    let (_, value) = parameter.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"))?;
    let weight: f32 = value.trim().parse().ok()?;
    weight.is_finite().then(|| weight.clamp(0.0, 1.0))
}

/// How closely a media range names a media type; `None` where it does not cover it.
fn specificity(range: &str, media_type: &str) -> Option<u8> {
    let is_range = |name: &str| range.eq_ignore_ascii_case(name);
    if is_range("*/*") {
        Some(1)
    } else if let Some(kind) = range.strip_suffix("/*") {
        media_type.split_once('/').filter(|(other, _)| other.eq_ignore_ascii_case(kind)).map(|_| 2)
    } else {
        let is_of_json = (is_range("application/json") || is_range("application/problem+json")) && is_json(media_type);
        (is_range(media_type) || is_of_json).then_some(3)
    }
}

fn is_json(media_type: &str) -> bool {
    let ends_with = |end: &str| {
        let start = media_type.len().checked_sub(end.len());
        start.and_then(|start| media_type.get(start..)).is_some_and(|tail| tail.eq_ignore_ascii_case(end))
    };
    ends_with("/json") || ends_with("+json")
}

/// Basic Filtering (RFC 4647 §3.3.1): `de` covers `de` and `de-CH`.
fn covers(range: &str, tag: &str) -> bool {
    let Some((head, rest)) = tag.split_at_checked(range.len()) else { return range == "*" };
    range == "*" || (head.eq_ignore_ascii_case(range) && (rest.is_empty() || rest.starts_with('-')))
}

/// The next shorter range of a Lookup: without its last subtag, and without the single letter that introduced it.
fn shortened(range: &str) -> Option<&str> {
    let (shorter, _) = range.rsplit_once('-')?;
    match shorter.rsplit_once('-') {
        Some((shortest, introduction)) if introduction.len() == 1 => Some(shortest),
        _ => Some(shorter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(values: &[&str]) -> Vec<HeaderValue> {
        values.iter().map(|value| HeaderValue::from_bytes(value.as_bytes()).unwrap()).collect()
    }

    #[test]
    fn the_most_wanted_media_type_is_preferred_and_the_first_of_equals() {
        const CHROME: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7";
        for (accept, expected) in [
            (&[][..], Some("application/json")),
            (&["*/*"], Some("application/json")),
            (&[CHROME], Some("text/html")),
            (&["text/html, application/json"], Some("application/json")),
            (&["text/html, application/json;q=0.9"], Some("text/html")),
            (&["text/html;q=0.3", "application/*;q=0.2"], Some("text/html")),
            (&["application/problem+json, text/html;q=0.9"], Some("application/json")),
            (&["text/html;q=junk, application/json;q=0.5"], Some("text/html")),
            (&["text/html;q=7, application/json;q=-1, */*"], Some("text/html")),
            (&["text/html;q=nan, application/json;q=inf"], Some("application/json")),
            (&["image/png"], None),
            (&["text/html;q=0, */*;q=0"], None),
            (&["", ",,;;q=,=;/*,"], None),
            (&["\u{e4}/*, */*"], None),
        ] {
            let accept = lines(accept);
            assert_eq!(preferred_media_type(&accept, &["application/json", "text/html"]), expected, "{accept:?}");
        }
    }

    #[test]
    fn who_takes_json_takes_every_kind_of_it() {
        for media_type in
            ["application/json", "application/problem+json", "application/vnd.api+json", "Application/JSON"]
        {
            assert_eq!(media_type_weight(&lines(&["application/json;q=0.5"]), media_type), 0.5, "{media_type}");
        }
        for media_type in ["application/jsonx", "json", "text/html", "", "\u{2603}json"] {
            assert_eq!(media_type_weight(&lines(&["application/json"]), media_type), 0.0, "{media_type}");
        }
        assert_eq!(media_type_weight(&lines(&["application/vnd.api+json"]), "application/json"), 0.0);
    }

    #[test]
    fn rfc_4647_lookup_finds_the_language_that_is_wanted_most() {
        for (accept_language, expected) in [
            ("de", Some("de")),
            ("DE-ch-1996", Some("de")),
            ("fr, de;q=0.5, en;q=0.7", Some("en")),
            ("de;q=0.5, de-CH;q=0.9, en;q=0.7", Some("de")),
            ("zh-Hant-TW, en", Some("zh-Hant")),
            ("zh-Hant-x-private, en", Some("zh-Hant")),
            ("zh", None),
            ("fr", None),
            ("fr, *", Some("en")),
            ("*, de;q=0.1", Some("de")),
            ("*, en;q=0", Some("de")),
            ("en-GB, en;q=0", None),
            ("de-CH, de;q=0, en;q=0.1", Some("en")),
            ("*;q=0", None),
            ("de;q=0", None),
            ("de;q=junk", Some("de")),
            ("de ; Q = 0.5 , en;q=0.4", Some("de")),
            ("", None),
            ("-, --, *-*, de_CH, <b>, en", Some("en")),
            ("x-", None),
        ] {
            let accept_language = lines(&[accept_language]);
            assert_eq!(preferred_language(&accept_language, &["en", "de", "zh-Hant"]), expected, "{accept_language:?}");
        }
        assert_eq!(preferred_language(&lines(&[]), &["en"]), None);
        assert_eq!(preferred_language(&lines(&["en", "de;q=0.9"]), &["de"]), Some("de"));
        assert_eq!(preferred_language(&lines(&["de-CH"]), &["DE-CH", "de"]), Some("DE-CH"));
        assert_eq!(preferred_language(&lines(&["*"]), &[]), None);
    }

    #[test]
    fn a_hostile_accept_language_is_read_no_further_than_it_has_to_be() {
        let many = format!("{}de", "fr,".repeat(MAX_LANGUAGE_RANGES));
        assert_eq!(preferred_language(&lines(&[&many]), &["de"]), None);
        let last = format!("{}de", "fr,".repeat(MAX_LANGUAGE_RANGES - 1));
        assert_eq!(preferred_language(&lines(&[&last]), &["de"]), Some("de"));
        let long = format!("de{},en;q=0.1", "-a".repeat(100_000));
        assert_eq!(preferred_language(&lines(&[&long]), &["de", "en"]), Some("en"));
        // A line with other bytes than visible ASCII, spaces and tabs counts as if it were not there.
        assert_eq!(preferred_language(&lines(&["de, \u{e9}", "en;q=0.1"]), &["de", "en"]), Some("en"));
    }
}
