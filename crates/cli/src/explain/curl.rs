//! The request of a curl line, as a browser or the documentation of an API has it.

use crate::Failure;

/// What matters of a line. An option that is not known is an error: it may change the request, or take the next word.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) method: String,
    pub(super) url: Option<String>,
    pub(super) headers: Vec<String>,
}

/// Options that have no value and do not change what is explained.
const FLAGS: [&str; 26] = [
    "-s",
    "-S",
    "-i",
    "-v",
    "-k",
    "-L",
    "-f",
    "-g",
    "-N",
    "-#",
    "-4",
    "-6",
    "-0",
    "--silent",
    "--show-error",
    "--include",
    "--verbose",
    "--insecure",
    "--location",
    "--fail",
    "--globoff",
    "--no-buffer",
    "--compressed",
    "--http1.1",
    "--http2",
    "--fail-with-body",
];

/// Options with a value that do not change what is explained.
const IGNORED: [&str; 30] = [
    "-u",
    "--user",
    "-o",
    "-w",
    "-m",
    "-A",
    "-e",
    "-b",
    "-c",
    "-x",
    "-E",
    "-D",
    "--output",
    "--write-out",
    "--max-time",
    "--user-agent",
    "--referer",
    "--cookie",
    "--cookie-jar",
    "--proxy",
    "--cert",
    "--key",
    "--cacert",
    "--dump-header",
    "--resolve",
    "--connect-timeout",
    "--connect-to",
    "--retry",
    "--limit-rate",
    "--unix-socket",
];

/// Options with a body, so that the method is POST where no other is named.
const BODIES: [&str; 9] =
    ["-d", "-F", "--data", "--data-raw", "--data-binary", "--data-ascii", "--data-urlencode", "--form", "--json"];

impl Line {
    /// Reads a line that begins with `curl`. No error has a word of it but the name of an option.
    pub(super) fn parse(line: &str) -> Result<Self, Failure> {
        // A line that is continued on the next one.
        let line = line.replace("\\\n", " ").replace("\\\r\n", " ");
        if ["$'", "$\"", "$(", "`"].iter().any(|part| line.contains(part)) {
            return Err(replaced());
        }
        let words = shlex::split(&line).ok_or_else(|| {
            Failure::usage("the curl line has a quotation mark that is not closed: copy the whole of it")
        })?;
        let (mut method, mut has_body) = (None, false);
        let mut read = Self { method: String::new(), url: None, headers: Vec::new() };
        let mut words = words.into_iter().skip(1);
        while let Some(word) = words.next() {
            for (name, attached) in options(&word)? {
                if FLAGS.contains(&&*name) {
                    continue;
                }
                let mut value = || {
                    attached.clone().or_else(|| words.next()).ok_or_else(|| {
                        Failure::usage("the last option of the curl line has no value: copy the whole of it")
                    })
                };
                match &*name {
                    "" | "--url" => {
                        if read.url.replace(value()?).is_some() {
                            return Err(Failure::usage("the curl line has several URLs: send it with one of them"));
                        }
                    }
                    "-H" | "--header" => read.headers.push(value()?),
                    "-X" | "--request" => method = Some(value()?),
                    "--oauth2-bearer" => read.headers.push(format!("authorization: Bearer {}", value()?)),
                    "-I" | "--head" => method = Some("HEAD".to_owned()),
                    "-G" | "--get" => method = Some("GET".to_owned()),
                    name if BODIES.contains(&name) => (_, has_body) = (value()?, true),
                    name if IGNORED.contains(&name) => _ = value()?,
                    _ => return Err(unknown(&name)),
                }
            }
        }
        // No token has one.
        if read.headers.iter().any(|header| header.contains('$')) {
            return Err(replaced());
        }
        read.method = method.unwrap_or_else(|| if has_body { "POST" } else { "GET" }.to_owned());
        Ok(read)
    }
}

/// The options of a word, each with what is attached to it as its value. A word that is none is a value without a name.
fn options(word: &str) -> Result<Vec<(String, Option<String>)>, Failure> {
    if word.starts_with("--") {
        // What curl does not know of is `--name=value`, which many write all the same.
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value.to_owned())));
        return Ok(vec![(name.to_owned(), value)]);
    }
    let Some(letters) = word.strip_prefix('-') else { return Ok(vec![(String::new(), Some(word.to_owned()))]) };
    let mut options = Vec::new();
    for (place, letter) in letters.char_indices() {
        let name = format!("-{letter}");
        if FLAGS.contains(&&*name) || ["-I", "-G"].contains(&&*name) {
            options.push((name, None));
            continue;
        }
        let rest = &letters[place + letter.len_utf8()..];
        options.push((name, (!rest.is_empty()).then(|| rest.to_owned())));
        break;
    }
    if options.is_empty() { Err(unknown("-")) } else { Ok(options) }
}

fn replaced() -> Failure {
    Failure::usage(
        "the curl line has `$'..'`, a variable, or something else that a shell replaces: write what it stands for, in plain \
         quotation marks",
    )
}

fn unknown(name: &str) -> Failure {
    let is_name = name.len() <= 24 && name.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'-');
    let shown = if is_name { format!(" `{name}`") } else { String::new() };
    Failure::usage(format!(
        "the curl line has an option{shown} that is not known here: leave out what does not matter, or send the headers alone"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_curl_would_send_is_read() {
        let authorized = "Authorization: Bearer abc";
        for (line, method, header) in [
            ("curl -XPOST -H 'Authorization: Bearer abc' https://a.example/x", "POST", authorized),
            ("curl --request=PUT --header='Authorization: Bearer abc' https://a.example/x", "PUT", authorized),
            ("curl -sH 'Authorization: Bearer abc' https://a.example/x", "GET", authorized),
            ("curl -siH'Authorization: Bearer abc' -e 'https://r.example/' https://a.example/x", "GET", authorized),
            ("curl\t--url https://a.example/x -d @f --compressed -H \"Authorization: Bearer abc\"", "POST", authorized),
            ("curl --oauth2-bearer=abc -I https://a.example/x", "HEAD", "authorization: Bearer abc"),
            ("curl --oauth2-bearer abc \\\n https://a.example/x", "GET", "authorization: Bearer abc"),
        ] {
            let read = Line::parse(line).unwrap_or_else(|error| panic!("{line}: {error:?}"));
            let expected =
                Line { method: method.into(), url: Some("https://a.example/x".into()), headers: vec![header.into()] };
            assert_eq!(read, expected, "{line}");
        }
    }

    #[test]
    fn what_is_not_understood_is_an_error_that_shows_nothing_of_the_line() {
        for (line, part) in [
            ("curl $'https://a.example' -H $'Authorization: Bearer s3cret'", "`$'..'`"),
            ("curl -H \"Authorization: Bearer $(cat s3cret)\" https://a.example", "a shell replaces"),
            ("curl -H \"Authorization: Bearer $s3cret\" https://a.example", "a variable"),
            ("curl --s3cret https://a.example", "not known"),
            ("curl -Zs3cret https://a.example", "not known"),
            ("curl --next https://a.example", "`--next`"),
            ("curl https://a.example https://s3cret.example", "several URLs"),
            ("curl https://a.example/s3cret -H", "no value"),
            ("curl 'https://s3cret", "not closed"),
            ("curl - s3cret", "not known"),
        ] {
            let error = format!("{:?}", Line::parse(line).expect_err(line));
            assert!(error.contains(part) && !error.contains("s3cret"), "{error}");
        }
    }
}
