//! What a client can read, by `Accept` and `Accept-Language` (RFC 9110 §12).
//!
//! Nothing here fails: a part of a field that cannot be read counts as if it were not there.

use http::HeaderValue;

/// The ranges of a field that are looked at. Browsers send fewer than ten.
const MAX_RANGES: usize = 64;

/// The parts of a range that are looked at: its name, and parameters.
const MAX_PARTS: usize = 8;

/// The longest language range that is looked at, in characters. RFC 5646 §4.4.1 asks for 35.
const MAX_LANGUAGE_RANGE: usize = 64;

/// How much the client wants this media type, from 0, which is not at all, to 1 (RFC 9110 §12.5.1). A request without `Accept`
/// wants everything. Who takes JSON, takes every kind of it that is not named. Parameters of the media type are left aside.
///
/// The most specific range decides; of two equally specific, the more permissive one.
pub(super) fn media_type_weight<'h>(accept: impl IntoIterator<Item = &'h HeaderValue>, media_type: &str) -> f32 {
    let mut lines = accept.into_iter().peekable();
    if lines.peek().is_none() {
        return 1.0;
    }
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    let matching = ranges(lines).filter_map(|range| Some((specificity(&range, media_type)?, range.weight)));
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
        let is_tag = || range.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        range == "*" || ((1..=MAX_LANGUAGE_RANGE).contains(&range.len()) && is_tag())
    };
    let mut ranges: Vec<_> = ranges(accept_language.into_iter()).filter(|range| is_range(range.name)).collect();
    ranges.sort_by(|range, other| other.weight.total_cmp(&range.weight));

    // The longest range that covers a language says whether it is refused. A `*` covers those that no other range finds.
    let is_refused = |tag: &str| {
        let covering = ranges.iter().filter(|range| covers(range.name, tag));
        covering.max_by_key(|range| range.name.len()).is_some_and(|range| range.weight <= 0.0)
    };
    let find = |range: &str| {
        let is_it = |tag: &&str| tag.eq_ignore_ascii_case(range) && !is_refused(tag);
        available.iter().copied().find(is_it)
    };
    let wanted = || ranges.iter().filter(|range| range.weight > 0.0).map(|range| range.name);
    let named = wanted().find_map(|range| std::iter::successors(Some(range), |range| shortened(range)).find_map(find));
    let any = || available.iter().copied().find(|tag| !is_refused(tag));
    named.or_else(|| wanted().any(|range| range == "*").then(any).flatten())
}

/// One range of a field, such as `text/*;q=0.5`.
struct Range<'h> {
    name: &'h str,
    /// It has parameters, so that it names only some of what its name says.
    is_narrowed: bool,
    weight: f32,
}

/// The ranges of a field, in their order, each with its weight (RFC 9110 §12.4.2). A weight that is no number counts as none.
fn ranges<'h>(lines: impl Iterator<Item = &'h HeaderValue>) -> impl Iterator<Item = Range<'h>> {
    let items = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(outside_quotes(',')));
    items.take(MAX_RANGES).map(|item| {
        let mut parts = item.split(outside_quotes(';')).take(MAX_PARTS).map(str::trim);
        let name = parts.next().unwrap_or_default();
        let mut is_narrowed = false;
        let weight = parts.find_map(|parameter| {
            let weight = weight(parameter);
            is_narrowed |= weight.is_none() && !parameter.is_empty();
            weight
        });
        Range { name, is_narrowed, weight: weight.unwrap_or(1.0) }
    })
}

/// A pattern that finds `separator` where it is not within a quoted-string (RFC 9110 §5.6.4).
fn outside_quotes(separator: char) -> impl FnMut(char) -> bool {
    let (mut is_quoted, mut is_escaped) = (false, false);
    move |character| {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = is_quoted,
            '"' => is_quoted = !is_quoted,
            _ => {}
        }
        character == separator && !is_quoted
    }
}

/// The weight, where the parameter is one.
fn weight(parameter: &str) -> Option<f32> {
    let (_, value) = parameter.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"))?;
    let weight: f32 = value.trim().parse().ok()?;
    weight.is_finite().then(|| weight.clamp(0.0, 1.0))
}

/// How closely a media range names a media type; `None` where it does not cover it.
fn specificity(range: &Range<'_>, media_type: &str) -> Option<u8> {
    let is_range = |name: &str| range.name.eq_ignore_ascii_case(name);
    if is_range("*/*") {
        Some(1)
    } else if let Some(kind) = range.name.strip_suffix("/*") {
        media_type.split_once('/').filter(|(other, _)| other.eq_ignore_ascii_case(kind)).map(|_| 2)
    } else if is_range(media_type) {
        Some(if range.is_narrowed { 4 } else { 5 })
    } else {
        let is_of_json = is_range("application/json") || is_range("application/problem+json");
        (is_of_json && is_json(media_type)).then_some(3)
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
    let Some((head, rest)) = tag.split_at_checked(range.len()) else { return false };
    head.eq_ignore_ascii_case(range) && (rest.is_empty() || rest.starts_with('-'))
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
    fn the_range_that_names_a_media_type_most_closely_decides() {
        const RFC_9110: &str =
            "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, text/plain;format=fixed;q=0.4, */*;q=0.5";
        for (accept, media_type, expected) in [
            (RFC_9110, "text/plain", 0.7),
            (RFC_9110, "text/html", 0.3),
            (RFC_9110, "image/jpeg", 0.5),
            ("text/html;level=1, text/*;q=0.5", "text/html", 1.0),
            ("application/json, application/problem+json;q=0", "application/problem+json", 0.0),
            ("application/problem+json, application/json;q=0", "application/json", 0.0),
            ("application/json;charset=utf-8, */*;q=0", "application/problem+json", 1.0),
            ("text/html", "text/html; charset=utf-8", 1.0),
            (r#"text/html;title="a;q=0;b""#, "text/html", 1.0),
            (r#"text/html;title="a\",b";q=0.5"#, "text/html", 0.5),
            (r#"text/plain;title=",text/html,""#, "text/html", 0.0),
            (r#"text/plain;title=", text/html"#, "text/html", 0.0),
            (r#"text/plain;title=\", text/html, ""#, "text/html", 0.0),
        ] {
            assert_eq!(media_type_weight(&lines(&[accept]), media_type), expected, "{accept} {media_type}");
        }
    }

    #[test]
    fn a_hostile_accept_is_read_no_further_than_it_has_to_be() {
        let after =
            |count: usize, item: &str| media_type_weight(&lines(&[&item.repeat(count), "text/html"]), "text/html");
        for item in [",", "a,", "a/*;q=1,"] {
            // The line before ends with an empty range.
            assert_eq!(after(MAX_RANGES - 2, item), 1.0, "{item}");
            assert_eq!(after(MAX_RANGES - 1, item), 0.0, "{item}");
        }
        let weighted = |parameters: usize| format!("text/html{};q=0", ";a".repeat(parameters));
        assert_eq!(media_type_weight(&lines(&[&weighted(MAX_PARTS - 2)]), "text/html"), 0.0);
        assert_eq!(media_type_weight(&lines(&[&weighted(MAX_PARTS - 1)]), "text/html"), 1.0);
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
            ("de-DE, *;q=0", Some("de")),
            ("*;q=0.5, en;q=0", Some("de")),
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
        let many = format!("{}de", "fr,".repeat(MAX_RANGES));
        assert_eq!(preferred_language(&lines(&[&many]), &["de"]), None);
        let last = format!("{}de", "fr,".repeat(MAX_RANGES - 1));
        assert_eq!(preferred_language(&lines(&[&last]), &["de"]), Some("de"));
        let long = format!("de{},en;q=0.1", "-a".repeat(100_000));
        assert_eq!(preferred_language(&lines(&[&long]), &["de", "en"]), Some("en"));
        // A line with other bytes than visible ASCII, spaces and tabs counts as if it were not there.
        assert_eq!(preferred_language(&lines(&["de, \u{e9}", "en;q=0.1"]), &["de", "en"]), Some("en"));
    }
}
