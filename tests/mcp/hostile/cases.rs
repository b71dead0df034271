//! The bodies.

use serde_json::{Value, json};

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) what: String,
    pub(super) body: Vec<u8>,
    pub(super) headers: Vec<(&'static str, String)>,
    /// How many bytes each piece of the body has; 0 for a body in one piece.
    pub(super) pieces: usize,
    pub(super) expected: Expected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// A status of the client's faults, and nothing ran.
    Refused,
    /// A success, and this ran.
    Runs(&'static str),
}

#[derive(Default)]
struct Cases(Vec<Case>);

impl Cases {
    fn add(&mut self, what: impl Into<String>, body: impl Into<Vec<u8>>, expected: Expected) -> &mut Case {
        let headers = vec![
            ("accept", "application/json, text/event-stream".to_owned()),
            ("content-type", "application/json".to_owned()),
            ("mcp-protocol-version", "2025-11-25".to_owned()),
        ];
        self.0.push(Case { what: what.into(), body: body.into(), headers, pieces: 0, expected });
        self.0.last_mut().expect("it was added")
    }

    fn refused(&mut self, what: impl Into<String>, body: impl Into<Vec<u8>>) -> &mut Case {
        self.add(what, body, Expected::Refused)
    }

    fn runs(&mut self, what: impl Into<String>, body: impl Into<Vec<u8>>, ran: &'static str) -> &mut Case {
        self.add(what, body, Expected::Runs(ran))
    }
}

/// A tool that the token may not call.
const EVIL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"files/write","arguments":{}}}"#;

/// One that it may.
const GOOD: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{}}}"#;

const PING: &str = r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#;

fn message(method: &str, params: Value) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string()
}

fn call(name: &str) -> String {
    message("tools/call", json!({"name": name, "arguments": {}}))
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Cases::default();
    permitted(&mut cases);
    not_permitted(&mut cases);
    private_names(&mut cases);
    duplicates(&mut cases);
    letters(&mut cases);
    shapes(&mut cases);
    batches(&mut cases);
    texts(&mut cases);
    names(&mut cases);
    uris(&mut cases);
    sizes(&mut cases);
    headers(&mut cases);
    cases.0
}

/// So that what follows is not refused for another reason.
fn permitted(cases: &mut Cases) {
    cases.runs("a permitted tool", GOOD, "tool echo {}");
    cases.runs("a permitted tool without arguments", message("tools/call", json!({"name": "echo"})), "tool echo null");
    cases.runs("a tool by its scope", call("files/read"), "tool files/read {}");
    cases.runs("a permitted prompt", message("prompts/get", json!({"name": "summary"})), "prompt summary");
    cases.runs(
        "a permitted resource",
        message("resources/read", json!({"uri": "file:///public/a"})),
        "resource file:///public/a",
    );
    cases.runs(
        "white space everywhere",
        GOOD.replace(':', " :\t").replace(',', "\r\n, ").replace('{', "{ "),
        "tool echo {}",
    );
    cases.runs("an escaped name", GOOD.replace("echo", "\\u0065\\u0063ho"), "tool echo {}");
    cases.runs("an escaped member name", GOOD.replace("\"name\"", "\"n\\u0061me\""), "tool echo {}");
    cases.runs("an id that is a text", GOOD.replace("\"id\":1", "\"id\":\"\""), "tool echo {}");
    cases.runs("a permitted method", message("custom/any", json!({})), "custom custom/any");
    cases.runs("pieces of one byte", GOOD, "tool echo {}").pieces = 1;
}

fn not_permitted(cases: &mut Cases) {
    for name in ["files/write", "both", "transfer", "undeclared"] {
        cases.refused(format!("the tool {name}"), call(name));
    }
    cases.refused("a small transfer", message("tools/call", json!({"name": "transfer", "arguments": {"amount": 1}})));
    cases.refused("an undeclared prompt", message("prompts/get", json!({"name": "undeclared"})));
    cases.refused("an undeclared resource", message("resources/read", json!({"uri": "note://undeclared"})));
    cases.refused("a tool as a prompt", message("prompts/get", json!({"name": "echo"})));
    for method in [
        "tools/invoke",
        "tool/call",
        "tools",
        "tools/",
        "/tools/call",
        "tools/call/",
        "tools//call",
        "tools.call",
        "callTool",
        "tools/call\u{0}",
        "tools/call\n",
        " tools/call",
        "tools/call ",
        "TOOLS/CALL",
        "Tools/Call",
        "tools%2Fcall",
        "tools\\call",
        "tools\u{2215}call",
        "\u{ff54}ools/call",
        "tools/call\u{200b}",
        "tasks/get",
        "tasks/cancel",
        "tasks/update",
        "skills/list",
        "skills/get",
        "resources/directory/read",
        "sampling/createMessage",
        "roots/list",
        "elicitation/create",
        "custom/other",
        "custom/scoped",
        "",
        "notifications/initialized",
        "$/cancelRequest",
        "rpc.discover",
    ] {
        cases.refused(
            format!("the method {method:?}"),
            message(method, json!({"name": "files/write", "uri": "x", "taskId": "1"})),
        );
    }
}

/// Objects that `serde_json` takes for numbers or texts, where its features say so.
fn private_names(cases: &mut Cases) {
    for name in ["$serde_json::private::RawValue", "$serde_json::private::Number"] {
        for spelling in [name.to_owned(), name.replace('$', "\\u0024"), name.replace("::", "\\u003a:")] {
            let hidden = |value: &str| format!("{{\"{spelling}\":{}}}", json!(value));
            for (place, body) in [
                ("everything", hidden(EVIL)),
                ("the method", EVIL.replace("\"tools/call\"", &hidden("\"tools/call\""))),
                (
                    "the parameters",
                    EVIL.replace(r#"{"name":"files/write","arguments":{}}"#, &hidden(r#"{"name":"files/write"}"#)),
                ),
                ("the name", EVIL.replace("\"files/write\"", &hidden("\"files/write\""))),
                ("the arguments", GOOD.replace("\"arguments\":{}", &format!("\"arguments\":{}", hidden("{}")))),
                (
                    "an argument",
                    GOOD.replace("\"arguments\":{}", &format!("\"arguments\":{{\"a\":[{}]}}", hidden("1"))),
                ),
                ("the id", EVIL.replace("\"id\":1", &format!("\"id\":{}", hidden("1")))),
                ("the version", EVIL.replace("\"2.0\"", &hidden("\"2.0\""))),
                ("a message of a batch", format!("[{PING},{}]", hidden(EVIL))),
                ("a member beside others", GOOD.replacen('{', &format!("{{\"{spelling}\":{},", json!(EVIL)), 1)),
                ("a member behind others", GOOD.replace("}}}", &format!("}}}},\"{spelling}\":{}}}", json!(EVIL)))),
                (
                    "a member of the parameters",
                    GOOD.replace(
                        "\"name\"",
                        &format!("\"{spelling}\":{},\"name\"", json!("{\"name\":\"files/write\"}")),
                    ),
                ),
            ] {
                cases.refused(format!("{spelling} for {place}"), body);
            }
        }
    }
}

fn duplicates(cases: &mut Cases) {
    for (member, good, evil) in [
        ("method", "\"ping\"", "\"tools/call\""),
        ("params", r#"{"name":"echo"}"#, r#"{"name":"files/write"}"#),
        ("id", "1", "2"),
        ("jsonrpc", "\"2.0\"", "\"2.0\""),
    ] {
        for spelling in [member.to_owned(), format!("\\u{:04x}{}", member.as_bytes()[0], &member[1..])] {
            let mut members = vec![
                r#""jsonrpc":"2.0""#.to_owned(),
                r#""id":1"#.to_owned(),
                r#""method":"tools/call""#.to_owned(),
                r#""params":{"name":"files/write"}"#.to_owned(),
            ];
            members.retain(|other| !other.starts_with(&format!("\"{member}\"")));
            let with = |first: String, last: String| format!("{{{first},{},{last}}}", members.join(","));
            let (good, evil) = (format!("\"{member}\":{good}"), format!("\"{spelling}\":{evil}"));
            cases.refused(format!("{spelling} twice, evil last"), with(good.clone(), evil.clone()));
            cases.refused(format!("{spelling} twice, evil first"), with(evil, good));
        }
    }
    for (what, params) in [
        ("name twice, evil last", r#"{"name":"echo","name":"files/write"}"#),
        ("name twice, evil first", r#"{"name":"files/write","name":"echo"}"#),
        ("name twice, one escaped", r#"{"name":"echo","\u006eame":"files/write"}"#),
        ("name twice, one escaped, the other way", r#"{"n\u0061me":"files/write","name":"echo"}"#),
        ("name thrice", r#"{"name":"echo","name":"echo","name":"files/write"}"#),
        ("name twice, around the arguments", r#"{"name":"echo","arguments":{},"name":"files/write"}"#),
        ("name twice, one of another type", r#"{"name":"echo","name":["files/write"]}"#),
        ("name twice, one null", r#"{"name":null,"name":"files/write"}"#),
        ("arguments twice", r#"{"name":"echo","arguments":{},"arguments":{"a":1}}"#),
        ("an argument twice", r#"{"name":"echo","arguments":{"a":1,"a":2}}"#),
        ("an argument twice, deep down", r#"{"name":"echo","arguments":{"a":[[{"b":{"c":1,"d":2,"c":3}}]]}}"#),
        ("a member of _meta twice", r#"{"name":"echo","_meta":{"a":1,"a":2}}"#),
    ] {
        cases.refused(what, format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#));
    }
}

/// Members whose names differ in case alone.
fn letters(cases: &mut Cases) {
    for member in
        ["Method", "METHOD", "mEthod", "Params", "PARAMS", "Id", "JSONRPC", "Result", "x", "_meta", "", " method"]
    {
        let body = GOOD.replace("\"id\":1", &format!("\"id\":1,\"{member}\":\"tools/call\""));
        cases.refused(format!("a member {member:?} beside the message's"), body);
    }
    for member in ["Name", "NAME", "nAme", "Arguments", "ARGUMENTS", "argument\u{17f}"] {
        let body = GOOD.replace("\"name\"", &format!("\"{member}\":\"files/write\",\"name\""));
        cases.refused(format!("a member {member:?} beside the name"), body);
    }
    cases.refused("only a Name", GOOD.replace("\"name\"", "\"Name\""));
    cases.refused("only a Method", EVIL.replace("\"method\"", "\"Method\""));
}

fn shapes(cases: &mut Cases) {
    for name in ["1", "1.0", "true", "null", "[\"files/write\"]", "{\"0\":\"files/write\"}", "{}", "[]", "\"\""] {
        cases.refused(format!("the name {name}"), EVIL.replace("\"files/write\"", name));
    }
    for method in ["1", "true", "null", "[\"tools/call\"]", "{\"method\":\"tools/call\"}", "[]"] {
        cases.refused(format!("the method {method}"), EVIL.replace("\"tools/call\"", method));
    }
    for params in [
        "[\"files/write\",{}]",
        "[{\"name\":\"files/write\"}]",
        "\"{\\\"name\\\":\\\"files/write\\\"}\"",
        "null",
        "1",
        "true",
        "[]",
        "{}",
        "{\"params\":{\"name\":\"files/write\"}}",
    ] {
        cases.refused(
            format!("the parameters {params}"),
            EVIL.replace(r#"{"name":"files/write","arguments":{}}"#, params),
        );
    }
    for arguments in ["[]", "[[\"a\",1]]", "\"{}\"", "1", "true"] {
        cases.refused(
            format!("the arguments {arguments}"),
            GOOD.replace("\"arguments\":{}", &format!("\"arguments\":{arguments}")),
        );
    }
    for id in ["null", "1.0", "1.5", "1e0", "-0", "01", "true", "[1]", "{}", "9223372036854775808", "1e400", "0x1"] {
        cases.refused(format!("the id {id}"), GOOD.replace("\"id\":1", &format!("\"id\":{id}")));
    }
    for version in ["\"1.0\"", "\"2\"", "2.0", "2", "null", "\" 2.0\"", "[\"2.0\"]"] {
        cases.refused(format!("the version {version}"), GOOD.replace("\"2.0\"", version));
    }
    cases.refused("no version", GOOD.replace("\"jsonrpc\":\"2.0\",", ""));
    cases.refused("a notification that calls a tool", EVIL.replace("\"id\":1,", ""));
    cases.refused("a notification that calls a permitted tool", GOOD.replace("\"id\":1,", ""));
    cases.refused("a request and a result", EVIL.replace("\"id\":1", "\"id\":1,\"result\":{}"));
    cases.refused(
        "a request and an error",
        EVIL.replace("\"id\":1", "\"id\":1,\"error\":{\"code\":1,\"message\":\"\"}"),
    );
    cases.refused("a result with parameters", EVIL.replace("\"method\":\"tools/call\"", "\"result\":{}"));
    for text in ["{}", "[]", "null", "1", "\"tools/call\"", "true", "[null]", "[[]]", "[{}]"] {
        cases.refused(text, text);
    }
    cases.refused("the message as a text", json!(EVIL).to_string());
    cases.refused(
        "members as pairs",
        r#"[["jsonrpc","2.0"],["id",1],["method","tools/call"],["params",{"name":"files/write"}]]"#,
    );
    cases.refused("a sequence of the members", r#"["2.0",1,"tools/call",{"name":"files/write"}]"#);
}

fn batches(cases: &mut Cases) {
    for before in [0, 1, 2, 10, 100] {
        let batch = std::iter::repeat_n(PING, before).chain([EVIL, PING]).collect::<Vec<_>>().join(",");
        cases.refused(format!("a batch with it behind {before} others"), format!("[{batch}]"));
    }
    cases.refused("a batch of it alone", format!("[{EVIL}]"));
    cases.refused("a batch in a batch", format!("[[{EVIL}]]"));
    cases.refused("a batch with the same id", format!("[{GOOD},{EVIL}]"));
    cases.refused("a batch with a notification that calls", format!("[{GOOD},{}]", EVIL.replace("\"id\":1,", "")));
    cases.refused("a batch with no message", format!("[{EVIL},1]"));
    cases.refused("a batch with an undeclared tool", format!("[{PING},{}]", call("undeclared")));
    cases.refused("a batch as an object", format!("{{\"0\":{PING},\"1\":{EVIL}}}"));
    cases.refused("a batch with a trailing comma", format!("[{PING},{EVIL},]"));
}

/// What is not one JSON text in UTF-8.
fn texts(cases: &mut Cases) {
    let bytes = |before: &[u8], text: &str, after: &[u8]| [before, text.as_bytes(), after].concat();
    for (what, body) in [
        ("a byte order mark", bytes(b"\xef\xbb\xbf", EVIL, b"")),
        ("a byte order mark before a permitted call", bytes(b"\xef\xbb\xbf", GOOD, b"")),
        ("NUL before", bytes(b"\0", EVIL, b"")),
        ("NUL behind", bytes(b"", EVIL, b"\0")),
        ("a form feed before", bytes(b"\x0c", GOOD, b"")),
        ("a vertical tab behind", bytes(b"", GOOD, b"\x0b")),
        ("a no-break space behind", bytes(b"", GOOD, "\u{a0}".as_bytes())),
        ("a line separator before", bytes("\u{2028}".as_bytes(), GOOD, b"")),
        ("an invalid byte behind", bytes(b"", GOOD, b"\xff")),
        ("two texts", bytes(GOOD.as_bytes(), EVIL, b"")),
        ("two texts on lines", bytes(GOOD.as_bytes(), "\n", EVIL.as_bytes())),
        ("text sequences", bytes(b"\x1e", GOOD, &bytes(b"\n\x1e", EVIL, b"\n"))),
        ("a comment before", bytes(b"/* c */", EVIL, b"")),
        ("a comment line before", bytes(b"// c\n", EVIL, b"")),
        ("a hash before", bytes(b"# c\n", EVIL, b"")),
        ("a prefix against scripts", bytes(b")]}',\n", EVIL, b"")),
        ("a function call", bytes(b"f(", EVIL, b")")),
        ("a closing brace too many", bytes(b"", EVIL, b"}")),
        ("a closing brace too few", EVIL.as_bytes()[..EVIL.len() - 1].to_vec()),
        ("an event", bytes(b"data: ", EVIL, b"\n\n")),
        ("a form", bytes(b"message=", EVIL, b"")),
        ("nothing", Vec::new()),
        ("white space", b" \r\n\t".to_vec()),
        ("UTF-16, little end first", EVIL.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("UTF-16, big end first", EVIL.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        ("UTF-16 with a mark", [0xfeff].into_iter().chain(EVIL.encode_utf16()).flat_map(u16::to_le_bytes).collect()),
        ("UTF-32", EVIL.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect()),
        ("CBOR", b"\xa1\x66method\x6atools/call".to_vec()),
        ("MessagePack", b"\x81\xa6method\xaatools/call".to_vec()),
        ("XML", b"<methodCall><methodName>tools/call</methodName></methodCall>".to_vec()),
    ] {
        cases.refused(what, body);
    }
    for (what, from, to) in [
        ("a comment inside", ",\"id\"", "/*,*/,\"id\""),
        ("a trailing comma", "{}}}", "{},}}"),
        ("a trailing comma at the top", "{}}}", "{}},}"),
        ("no comma", ",\"id\"", " \"id\""),
        ("a semicolon", ",\"id\"", ";\"id\""),
        ("an equals sign", "\"id\":1", "\"id\"=1"),
        ("single quotes", "\"files/write\"", "'files/write'"),
        ("no quotes", "\"method\"", "method"),
        ("a raw tab in the name", "files/write", "files/\twrite"),
        ("a raw line feed in the name", "files/write", "files/\nwrite"),
        ("a raw NUL in the name", "files/write", "files/\0write"),
        ("an escape that JSON has not", "files/write", "files\\x2fwrite"),
        ("a short escape", "files/write", "files\\u2fwrite"),
        ("a lone high surrogate", "files/write", "files/write\\ud800"),
        ("a lone low surrogate", "files/write", "files/write\\udc00"),
        ("surrogates in the wrong order", "files/write", "files/write\\udc00\\ud800"),
        ("a number with a plus", "\"id\":1", "\"id\":+1"),
        ("a number with a point alone", "\"id\":1", "\"id\":1."),
        ("NaN", "\"arguments\":{}", "\"arguments\":{\"a\":NaN}"),
        ("Infinity", "\"arguments\":{}", "\"arguments\":{\"a\":-Infinity}"),
        ("undefined", "\"arguments\":{}", "\"arguments\":{\"a\":undefined}"),
        ("True", "\"arguments\":{}", "\"arguments\":{\"a\":True}"),
        ("an octal number", "\"arguments\":{}", "\"arguments\":{\"a\":017}"),
        ("a line continuation", "files/write", "files/\\\nwrite"),
    ] {
        cases.refused(what, EVIL.replacen(from, to, 1));
        // The same in a call that would be permitted.
        cases.refused(
            format!("{what}, of a permitted tool"),
            GOOD.replace("echo", "files/read").replacen(
                &from.replace("write", "read"),
                &to.replace("write", "read"),
                1,
            ),
        );
    }
    for (what, bytes) in [
        ("an invalid byte", &b"\xff"[..]),
        ("an overlong slash", b"\xc0\xaf"),
        ("a surrogate in UTF-8", b"\xed\xa0\x80"),
        ("half of a character", b"\xe2\x82"),
        ("beyond Unicode", b"\xf4\x90\x80\x80"),
    ] {
        for (place, text) in [("the name", "files/write"), ("a member name", "arguments")] {
            let (before, after) = EVIL.split_once(text).expect("it has that");
            cases.refused(
                format!("{what} in {place}"),
                [before.as_bytes(), text.as_bytes(), bytes, after.as_bytes()].concat(),
            );
        }
    }
}

/// Names that are almost those of a permitted tool, or another way to write a forbidden one.
fn names(cases: &mut Cases) {
    for name in [
        "files\\u002fwrite",
        "\\u0066iles/write",
        "files\\/write",
        "\\u0066\\u0069\\u006c\\u0065\\u0073\\u002f\\u0077\\u0072\\u0069\\u0074\\u0065",
        "echo\\u0000",
        "\\u0000echo",
        "echo\\u0000files/write",
        "echo ",
        " echo",
        "echo\\t",
        "echo\\n",
        "Echo",
        "ECHO",
        "\u{435}cho",
        "\u{ff45}cho",
        "ech\u{1d52}",
        "echo\u{200b}",
        "\u{feff}echo",
        "e\u{301}cho",
        "%65cho",
        "files%2Fread",
        "files%2fwrite",
        "files/read ",
        "files/read/",
        "files/read/../write",
        "files/./write",
        "files//write",
        "files\\\\write",
        "files/\u{ff0e}\u{ff0e}/write",
        "./echo",
        "../echo",
        "files/*",
        "*",
        "files/",
        "files",
        "echo,files/write",
        "echo;files/write",
        "echo?x",
        "echo#x",
        "files/read\u{202e}",
    ] {
        cases.refused(format!("the name {name:?}"), EVIL.replace("files/write", name));
    }
}

fn uris(cases: &mut Cases) {
    for uri in [
        "note://undeclared",
        "file:///public/../private/a",
        "file:///public/..",
        "file:///public/%2e%2e/private/a",
        "file:///public/%2E./private/a",
        "file:///public/.%2e/private/a",
        "file:///public/%252e%252e/private/a",
        "file:///public/..%2fprivate/a",
        "file:///public/..%5cprivate",
        "file:///public/..\\private",
        "file:///public/./a",
        "file:///public/..;/private/a",
        "file:///public/..?",
        "file:///public/..#",
        "file:///public%2fa",
        "file:////public/a",
        "file:///PUBLIC/a",
        "file:///public/.\t./private/a",
        "file:///public/\n../private/a",
        "file:///public/..\r/private/a",
        "file:///public/%2e\t%2e/private/a",
        "file:///public/%2\te%2e/private/a",
        "file:///public/.. ",
        "file:///public/..\u{0}",
        "FILE:///public/a",
        "File:///public/a",
        "file:/public/a",
        "file://localhost/public/a",
        "file:////public/../etc",
        " file:///public/a",
        "\tfile:///public/a",
        "public/a",
        "file%3a///public/a",
        "",
        "*",
        "file:",
    ] {
        for method in ["resources/read", "resources/subscribe"] {
            cases.refused(format!("{method} of {uri:?}"), message(method, json!({"uri": uri})));
        }
    }
    let argument = json!({"name": "a", "value": "b"});
    for reference in [
        json!({"type": "ref/prompt", "name": "undeclared"}),
        json!({"type": "ref/resource", "uri": "note://{name}"}),
        json!({"type": "ref/tool", "name": "echo"}),
        json!({"name": "greeting"}),
        json!({"type": "ref/prompt", "uri": "file:///public/a"}),
        json!({"type": "ref/prompt", "name": "greeting", "Name": "undeclared"}),
        json!({"type": ["ref/prompt"], "name": "greeting"}),
        json!(["ref/prompt", {"name": "undeclared"}]),
        json!("greeting"),
        Value::Null,
    ] {
        let what = format!("a completion for {reference}");
        cases.refused(what, message("completion/complete", json!({"ref": reference, "argument": argument})));
    }
    for notifications in [
        json!({"resourceSubscriptions": ["note://undeclared"]}),
        json!({"resourceSubscriptions": ["file:///public/a", "note://undeclared"]}),
        json!({"resourceSubscriptions": {"0": "note://undeclared"}}),
        json!({"resourceSubscriptions": [["note://undeclared"]]}),
        json!({"ResourceSubscriptions": ["note://undeclared"]}),
        json!({"everything": true}),
        json!([true, true, true, ["note://undeclared"]]),
        Value::Null,
    ] {
        cases.refused(
            format!("a subscription to {notifications}"),
            message("subscriptions/listen", json!({"notifications": notifications})),
        );
    }
}

fn sizes(cases: &mut Cases) {
    let with_argument =
        |call: &str, argument: &str| call.replace("\"arguments\":{}", &format!("\"arguments\":{{\"a\":{argument}}}"));
    let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    cases.runs("61 levels in the arguments", with_argument(GOOD, &nested(61)), "tool echo ");
    cases.refused("62 levels in the arguments", with_argument(GOOD, &nested(62)));
    cases.refused("62 levels of a forbidden tool", with_argument(EVIL, &nested(62)));
    cases.refused("a million levels, never closed", "[".repeat(1_000_000));
    cases.refused(
        "a million levels before the method",
        EVIL.replacen('{', &format!("{{\"x\":{},", nested(1_000_000)), 1),
    );
    cases.refused("a million objects within one another", "{\"a\":".repeat(800_000));
    cases.refused("a message of ten megabytes", with_argument(GOOD, &format!("\"{}\"", "x".repeat(10_000_000))));
    cases.refused("ten megabytes behind the message", format!("{EVIL}{}", " ".repeat(10_000_000)));
    cases.refused("ten megabytes in pieces", format!("{}{EVIL}", " ".repeat(10_000_000))).pieces = 65_537;
    cases.runs("a megabyte of white space", format!("{}{GOOD}", " ".repeat(1_000_000)), "tool echo {}");
    cases.runs(
        "an argument of a megabyte",
        with_argument(GOOD, &format!("\"{}\"", "x".repeat(1_000_000))),
        "tool echo ",
    );
    let many =
        |last: &str| (0..50_000).map(|n| format!("\"{n}\":0")).chain([last.to_owned()]).collect::<Vec<_>>().join(",");
    cases.runs("fifty thousand members", with_argument(GOOD, &format!("{{{}}}", many("\"x\":0"))), "tool echo ");
    cases.refused("fifty thousand members and one twice", with_argument(GOOD, &format!("{{{}}}", many("\"7\":0"))));
    cases.refused("a number that is not finite, of a forbidden tool", with_argument(EVIL, "1e999999"));
    cases.refused(
        "a digit for each of a hundred thousand, of a forbidden tool",
        with_argument(EVIL, &"9".repeat(100_000)),
    );
    cases.refused("a name of a megabyte", call(&"files/".repeat(170_000)));
}

fn headers(cases: &mut Cases) {
    let without = |case: &mut Case, name: &str| case.headers.retain(|(other, _)| *other != name);
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json-seq",
        "application/x-ndjson",
        "application/jsonrequest",
        "text/json",
        "application/vnd.api+json",
        "application/json, text/plain",
        "application/json; charset=utf-7",
        "application/json;charset=iso-8859-1",
        "*/*",
        "",
    ] {
        for body in [EVIL, GOOD] {
            let case = cases.refused(format!("the type {content_type:?}"), body);
            without(case, "content-type");
            case.headers.push(("content-type", content_type.to_owned()));
        }
    }
    without(cases.refused("no type", EVIL), "content-type");
    cases.refused("two types", GOOD).headers.push(("content-type", "application/json".to_owned()));
    for coding in ["gzip", "deflate", "br", "x-gzip", "identity, gzip", "GZIP"] {
        cases.refused(format!("the coding {coding}"), GOOD).headers.push(("content-encoding", coding.to_owned()));
    }
    for (name, value) in [
        ("mcp-method", "ping"),
        ("mcp-name", "echo"),
        ("mcp-param-name", "echo"),
        ("x-http-method-override", "GET"),
        ("x-original-url", "/public"),
        ("x-forwarded-for", "127.0.0.1"),
        ("last-event-id", "0"),
        ("range", "bytes=0-1"),
        ("content-range", "bytes 0-1/2"),
        ("if-none-match", "*"),
    ] {
        cases.refused(format!("{name}: {value}"), EVIL).headers.push((name, value.to_owned()));
    }
    for pieces in [1, 2, 3, 64] {
        cases.refused(format!("pieces of {pieces}"), EVIL).pieces = pieces;
    }
    for version in ["2024-11-05", "2025-03-26", "2026-07-28"] {
        let case = cases.refused(format!("the version {version}"), EVIL);
        without(case, "mcp-protocol-version");
        case.headers.push(("mcp-protocol-version", version.to_owned()));
    }
}
