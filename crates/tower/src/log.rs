//! Text of requests in log lines.

use scopegate_core::observe::log_excerpt;

/// The longest path in a log line, in characters.
const LONGEST: usize = 128;

/// The path of a request, from which an operator has to know the route: a segment in the shape of a token is omitted, and no other.
pub(crate) fn path_excerpt(path: &str) -> String {
    let mut excerpt = path.split('/').map(log_excerpt).collect::<Vec<_>>().join("/");
    if let Some((end, _)) = excerpt.char_indices().nth(LONGEST) {
        excerpt.truncate(end);
        excerpt.push_str("...");
    }
    excerpt
}
