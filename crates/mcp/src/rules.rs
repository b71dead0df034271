//! Who may use which tool, prompt or resource: names and prefixes, each with its requirement.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
};

use scopegate_core::{Access, ScopePolicy, ScopeToken};
use scopegate_tower::Requirement;
use serde_json::{Map, Value};

use crate::{
    json::Json,
    message::{Malformed, Target},
};

/// A call for which a closure says what it requires, besides what was declared.
#[derive(Clone, Copy)]
pub struct Call<'c> {
    name: &'c str,
    arguments: &'c Map<String, Value>,
}

impl Call<'_> {
    /// The name of the tool or prompt, or the URI of the resource.
    pub fn name(&self) -> &str {
        self.name
    }

    /// The arguments, as `serde_json` reads them. Empty where there are none: for a resource, for the completion of an argument,
    /// and where the client left them out. They are not validated against the tool's schema, so require the most where one
    /// is missing or of another type.
    pub fn arguments(&self) -> &Map<String, Value> {
        self.arguments
    }
}

/// Omits the arguments, which may be personal data.
impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a call requires besides what was declared.
pub(crate) type PerCall = Arc<dyn Fn(&Call<'_>) -> Access + Send + Sync>;

#[derive(Clone)]
struct Rule {
    requirement: Requirement,
    per_call: Option<PerCall>,
}

/// The rules of one kind of thing.
#[derive(Clone, Default)]
pub(crate) struct Rules {
    whole: HashMap<Box<str>, Rule>,
    /// The longest first.
    prefixes: Vec<(Box<str>, Rule)>,
    /// The [`reading`]s of the whole names.
    whole_readings: HashSet<Vec<u8>>,
    /// Those of the prefixes, the longest first.
    prefix_readings: Vec<Vec<u8>>,
}

/// The requirement that `access` is, where every request has a token.
///
/// # Panics
///
/// When `access` admits anonymous callers.
#[track_caller]
pub(crate) fn requirement(name: &str, access: &Access) -> Requirement {
    Requirement::of(access).unwrap_or_else(|| {
        panic!(
            "{name:?} is declared as {access}, and every request to an MCP server has a token: use `authenticated()`"
        )
    })
}

impl Rules {
    /// # Panics
    ///
    /// When the pattern is empty, is declared already, or has a `*` that is not its end; when `access` admits anonymous callers;
    /// and when the pattern is `*` alone and `access` is any token.
    #[track_caller]
    pub(crate) fn add(&mut self, pattern: &str, access: &Access, per_call: Option<PerCall>) {
        let rule = Rule { requirement: requirement(pattern, access), per_call };
        let (name, is_prefix) = pattern.strip_suffix('*').map_or((pattern, false), |prefix| (prefix, true));
        assert!(!pattern.is_empty(), "a name is empty; give that of a tool, prompt or resource");
        assert!(
            !name.contains('*'),
            "{pattern:?} has a `*` that is not its last character; only there it stands for any text"
        );
        let is_open = access.to_string() == "authenticated";
        assert!(
            !(is_prefix && name.is_empty() && is_open),
            "{pattern:?} would open everything that is not declared; name what any token may use, or require a scope"
        );
        let is_known = if is_prefix {
            self.prefixes.iter().any(|(prefix, _)| **prefix == *name)
        } else {
            self.whole.contains_key(name)
        };
        assert!(!is_known, "{pattern:?} is declared twice; state its whole requirement once");
        let (reading, _) = reading(name);
        if is_prefix {
            self.prefixes.push((name.into(), rule));
            self.prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
            self.prefix_readings.push(reading);
            self.prefix_readings.sort_by_key(|prefix| std::cmp::Reverse(prefix.len()));
        } else {
            self.whole.insert(name.into(), rule);
            self.whole_readings.insert(reading);
        }
    }

    /// The rule for a name: that of the whole name, or of its longest prefix. A prefix covers no name that a lenient server
    /// may take for one that another rule is about.
    fn find(&self, name: &str) -> Option<&Rule> {
        self.whole.get(name).or_else(|| {
            let (prefix, rule) = self.prefixes.iter().find(|(prefix, _)| name.starts_with(&**prefix))?;
            let (name, stays) = reading(name);
            let longest = self.prefix_readings.iter().find(|prefix| name.starts_with(prefix))?;
            (stays && !self.whole_readings.contains(&name) && *longest == reading(prefix).0).then_some(rule)
        })
    }

    /// What is required to see the name in a list; `None` where it is not declared. It is the same `Requirement` that guards the
    /// call, without what a closure adds by its arguments.
    pub(crate) fn to_list(&self, name: &str) -> Option<&Requirement> {
        Some(&self.find(name)?.requirement)
    }

    /// What a call requires; `None` where the name is not declared.
    fn to_call(
        &self,
        name: &str,
        arguments: Option<&Json<'_>>,
    ) -> Result<Option<Vec<Cow<'_, Requirement>>>, Malformed> {
        let Some(rule) = self.find(name) else { return Ok(None) };
        let mut requirements = vec![Cow::Borrowed(&rule.requirement)];
        if let Some(per_call) = &rule.per_call {
            let arguments = match arguments {
                // From what is forwarded, so that the closure is given what a server that uses `serde_json` gives to its tool.
                Some(arguments) => serde_json::from_slice(&arguments.to_bytes()).map_err(|_| Malformed::Parameters)?,
                None => Map::new(),
            };
            let access = per_call(&Call { name, arguments: &arguments });
            // Where a closure says that anybody may, what was declared remains.
            requirements.extend(Requirement::of(&access).map(Cow::Owned));
        }
        Ok(Some(requirements))
    }
}

/// How many times a name is percent-decoded in search of what else it may stand for. Servers decode once, and some twice.
const MAX_DECODINGS: usize = 3;

/// What a name may stand for to a server that is lenient: one that percent-decodes, drops white space and control characters as
/// URL parsers do, or has a file system that knows neither case nor doubled slashes. Two names with one reading may be the same
/// thing. Second, whether it stays below what it begins with: no segment is `.` or `..`, and it is not encoded more often than
/// any server decodes.
fn reading(name: &str) -> (Vec<u8>, bool) {
    let mut reading = name.as_bytes().to_vec();
    let mut stays = true;
    for _ in 0..MAX_DECODINGS {
        reading.retain(|byte| *byte > b' ' && *byte != 0x7f);
        stays &= !has_dot_segment(&reading);
        match percent_decoded(&reading) {
            Some(again) => reading = again,
            None => {
                reading
                    .iter_mut()
                    .for_each(|byte| *byte = if *byte == b'\\' { b'/' } else { byte.to_ascii_lowercase() });
                reading.dedup_by(|byte, before| *byte == b'/' && *before == b'/');
                return (reading, stays);
            }
        }
    }
    (reading, false)
}

fn has_dot_segment(name: &[u8]) -> bool {
    let mut segments = name.split(|byte| matches!(byte, b'/' | b'\\' | b'?' | b'#'));
    // What follows a semicolon is a parameter of the segment (RFC 3986 §3.3).
    segments.any(|segment| matches!(segment.split(|byte| *byte == b';').next(), Some(b"." | b"..")))
}

/// The text with each `%` and two hexadecimal digits as the byte that they stand for; `None` where there are none.
fn percent_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |at: usize| char::from(*text.get(at)?).to_digit(16);
    let mut decoded = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let encoded = if byte == b'%' { digit(at + 1).zip(digit(at + 2)) } else { None };
        match encoded.and_then(|(high, low)| u8::try_from(high * 16 + low).ok()) {
            Some(encoded) => {
                decoded.push(encoded);
                at += 3;
            }
            None => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    (decoded.len() < text.len()).then_some(decoded)
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.whole.iter().map(|(name, rule)| (name.to_string(), &rule.requirement));
        let prefixes = self.prefixes.iter().map(|(prefix, rule)| (format!("{prefix}*"), &rule.requirement));
        f.debug_map().entries(whole.chain(prefixes)).finish()
    }
}

/// All rules of a server. What is in none of them is denied.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policy {
    pub(crate) tools: Rules,
    pub(crate) prompts: Rules,
    pub(crate) resources: Rules,
    pub(crate) methods: HashMap<Box<str>, Requirement>,
    /// Each scope that was declared, once, in that order.
    pub(crate) scopes: Vec<ScopeToken>,
}

impl Policy {
    pub(crate) fn note_scopes(&mut self, access: &Access) {
        for scope in access.scope().into_iter().flat_map(ScopePolicy::scopes) {
            if !self.scopes.contains(scope) {
                self.scopes.push(scope.clone());
            }
        }
    }

    /// What a message requires besides a valid token; `None` where it is denied.
    pub(crate) fn requirements(
        &self,
        method: Option<&str>,
        target: &Target<'_>,
    ) -> Result<Option<Vec<Cow<'_, Requirement>>>, Malformed> {
        match target {
            Target::Protocol | Target::List => Ok(Some(Vec::new())),
            Target::Tool { name, arguments } => self.tools.to_call(name, *arguments),
            Target::Prompt { name, arguments } => self.prompts.to_call(name, *arguments),
            Target::Resources(uris) => {
                let mut all = Vec::new();
                for uri in uris {
                    let Some(requirements) = self.resources.to_call(uri, None)? else { return Ok(None) };
                    all.extend(requirements);
                }
                Ok(Some(all))
            }
            Target::Unknown => {
                let declared = method.and_then(|method| self.methods.get(method));
                Ok(declared.map(|requirement| vec![Cow::Borrowed(requirement)]))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use scopegate_core::{authenticated, optional, public, scope};

    use super::*;

    fn rules(declared: &[(&str, &'static str)]) -> Rules {
        let mut rules = Rules::default();
        for (pattern, name) in declared {
            rules.add(pattern, &scope(name).into(), None);
        }
        rules
    }

    #[test]
    fn the_whole_name_decides_and_then_the_longest_prefix() {
        let rules = rules(&[("*", "any"), ("files/*", "files"), ("files/secret/*", "secret"), ("files/secret/a", "a")]);
        for (name, expected) in [
            ("files/secret/a", "a"),
            ("files/secret/ab", "secret"),
            ("files/secret", "files"),
            ("files/", "files"),
            ("files", "any"),
            ("file/x", "any"),
        ] {
            assert_eq!(rules.to_list(name).unwrap().challenge(), Some(expected), "{name}");
        }
        assert!(Rules::default().to_list("files").is_none());
    }

    #[test]
    fn a_prefix_covers_no_path_that_leads_out_of_it() {
        let rules = rules(&[("file:///docs/*", "docs"), ("file:///x/../y", "exact")]);
        for name in [
            "file:///docs/../etc/passwd",
            "file:///docs/..",
            "file:///docs/a/./b",
            "file:///docs/%2e%2E/a",
            "file:///docs/a%2f..%2fb",
            "file:///docs/..\\a",
            "file:///docs/%5c..%5Ca",
            "file:///docs/%252e%252e/a",
            "file:///docs/%25252e./a",
            "file:///docs/..;x=1/a",
            "file:///docs/..?a",
            "file:///docs/..#a",
            "file:///docs/%25%32%65./a",
            "file:///docs/%25252525a",
            "file:///docs/.\t./a",
            "file:///docs/\n../a",
            "file:///docs/..\r/a",
            "file:///docs/.%0a./a",
            "file:///docs/%2\te%2e/a",
            "file:///docs/.. ",
            "file:///docs/..\u{0}",
        ] {
            assert!(rules.to_list(name).is_none(), "{name}");
        }
        for name in [
            "file:///docs/a..b",
            "file:///docs/...",
            "file:///docs/.hidden",
            "file:///docs/a. b",
            "file:///docs/100%25",
            "file:///x/../y",
        ] {
            assert!(rules.to_list(name).is_some(), "{name}");
        }
    }

    #[test]
    fn a_prefix_covers_no_name_that_may_be_one_of_another_rule() {
        let rules = rules(&[
            ("file:///*", "any"),
            ("file:///docs/*", "docs"),
            ("file:///docs/secret/*", "secret"),
            ("file:///docs/plan.txt", "plan"),
            ("file:///docs/.*", "hidden"),
        ]);
        for name in [
            "file:///docs/%73ecret/a",
            "file:///docs/%2573ecret/a",
            "file:///docs/secret%2fa",
            "file:///docs%2Fa",
            "file:///docs/secret\\a",
            "file:///docs\\a",
            "file:///docs//secret/a",
            "file:////docs/a",
            "file:///docs/SECRET/a",
            "file:///docs/sec\tret/a",
            "file:///docs/plan%2etxt",
            "file:///docs/plan.txt ",
            "file:///docs/Plan.txt",
            "file:///docs/%2Ehidden",
        ] {
            assert!(rules.to_list(name).is_none(), "{name}");
        }
        for (name, expected) in [
            ("file:///a%20b", "any"),
            ("file:///docs", "any"),
            ("file:///Docs2/a", "any"),
            ("file:///docs/a%20b//c%2Fd", "docs"),
            ("file:///docs/secrets", "docs"),
            ("file:///docs/secret/%41//b", "secret"),
            ("file:///docs/plan.txt2", "docs"),
            ("file:///docs/plan.txt", "plan"),
            ("file:///docs/.hidden", "hidden"),
        ] {
            assert_eq!(rules.to_list(name).and_then(Requirement::challenge), Some(expected), "{name}");
        }
    }

    #[test]
    fn a_declaration_that_cannot_be_meant_is_a_panic_with_the_remedy() {
        let message = |add: &dyn Fn(&mut Rules)| {
            let panic = catch_unwind(AssertUnwindSafe(|| add(&mut rules(&[("a", "x"), ("a*", "x")])))).unwrap_err();
            panic
                .downcast_ref::<String>()
                .cloned()
                .unwrap_or_else(|| (*panic.downcast_ref::<&str>().unwrap()).to_owned())
        };
        let add = |pattern: &str, access: Access| {
            let pattern = pattern.to_owned();
            message(&move |rules: &mut Rules| rules.add(&pattern, &access, None))
        };
        assert!(add("", authenticated()).contains("is empty"));
        assert!(add("a", authenticated()).contains("declared twice"));
        assert!(add("a*", authenticated()).contains("declared twice"));
        assert!(add("a*b", authenticated()).contains("not its last character"));
        assert!(add("**", scope("x").into()).contains("not its last character"));
        assert!(add("*", authenticated()).contains("would open everything"));
        assert!(add("b", public()).contains("use `authenticated()`"));
        assert!(add("b", optional()).contains("use `authenticated()`"));
    }
}
