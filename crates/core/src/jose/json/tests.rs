use std::borrow::Cow;

use super::{names::mark, reader::plain, *};

fn all(text: &str) -> Result<Vec<(Cow<'_, str>, Value<'_>)>, Malformed> {
    object(text.as_bytes(), |_| true)
}

fn one(text: &str) -> Value<'_> {
    all(text).unwrap().remove(0).1
}

#[test]
fn values_of_every_type_are_read() {
    assert_eq!(one(r#"{"a":null}"#), Value::Null);
    assert_eq!(one(r#"{"a":true}"#), Value::Bool(true));
    assert_eq!(one(r#"{"a":7}"#), Value::Number(Number::Unsigned(7)));
    assert_eq!(one(r#"{"a":-7}"#), Value::Number(Number::Negative(-7)));
    assert_eq!(one(r#"{"a":1.5}"#), Value::Number(Number::Float(1.5)));
    assert_eq!(one(r#"{"a":"x\ny"}"#), Value::String("x\ny".into()));
    assert_eq!(
        one(r#"{"a":["x",1]}"#),
        Value::Array(vec![Value::String("x".into()), Value::Number(Number::Unsigned(1))])
    );
    assert_eq!(one(r#"{"a":{"b":"x"}}"#), Value::Object(vec![("b".into(), Value::String("x".into()))]));
    assert_eq!(all("{}"), Ok(vec![]));
}

#[test]
fn only_what_is_asked_for_is_kept_and_everything_is_checked() {
    let kept = object(br#"{"a":1,"b":[{"c":2}],"d":3}"#, |name| name == "d").unwrap();
    assert_eq!(kept, [("d".into(), Value::Number(Number::Unsigned(3)))]);
    assert_eq!(object(br#"{"a":1,"b":[{"c":2,"c":3}]}"#, |_| false), Err(Malformed::DuplicateMember));
    assert_eq!(object(b"{\"a\":\"\xff\"}", |_| false), Err(Malformed::Syntax));
}

#[test]
fn duplicates_are_refused_at_every_depth_and_under_every_spelling() {
    for text in
        [r#"{"a":1,"a":1}"#, r#"{"exp":1,"\u0065xp":2}"#, r#"{"x":{"a":1,"a":2}}"#, r#"{"x":[[{"a":1,"b":2,"a":3}]]}"#]
    {
        assert_eq!(all(text), Err(Malformed::DuplicateMember), "{text}");
    }
    assert!(all(r#"{"a":{"a":{"a":1}},"b":{"a":1}}"#).is_ok());
}

#[test]
fn what_serde_json_might_read_otherwise_is_refused() {
    for (text, rule) in [
        (r#"{"x":{"$serde_json::private::RawValue":"{\"a\":1,\"a\":2}"}}"#, Malformed::PrivateName),
        (r#"{"x":[{"\u0024serde_json::private::Number":"7"}]}"#, Malformed::PrivateName),
        (r#"{"$serde_json::private::":1}"#, Malformed::PrivateName),
        (r#"{"x":1.7976931348623157e308}"#, Malformed::Syntax),
        (r#"{"x":-1.7976931348623158e308}"#, Malformed::Syntax),
        (r#"{"x":1.0000000000000003e308}"#, Malformed::Syntax),
    ] {
        assert_eq!(all(text), Err(rule), "{text}");
        assert_eq!(object(text.as_bytes(), |_| false), Err(rule), "{text}");
    }
    assert!(all(r#"{"$":1,"$ref":2,"$serde_json":3,"x":1e308,"y":-1e308}"#).is_ok());
}

#[test]
fn anything_but_one_object_is_refused() {
    for text in [
        "",
        "[]",
        "\"x\"",
        "1",
        "null",
        "{}x",
        "{}{}",
        "{\"a\":1,}",
        "{'a':1}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":1e400}",
        "{\"a\":01}",
    ] {
        assert_eq!(all(text), Err(Malformed::Syntax), "{text}");
    }
    for marked in [&b"\xef\xbb\xbf{}"[..], b"\xff\xfe{\0}\0", b"\xfe\xff\0{\0}"] {
        assert_eq!(object(marked, |_| true), Err(Malformed::ByteOrderMark), "{marked:x?}");
    }
}

#[test]
fn depth_and_member_count_are_bounded() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(all(&nested(15)).is_ok());
    assert_eq!(all(&nested(16)), Err(Malformed::TooDeep));
    let objects = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    assert!(all(&objects(16)).is_ok());
    assert_eq!(all(&objects(17)), Err(Malformed::TooDeep));
    let wide = |members: usize| {
        format!("{{\"x\":{{{}}}}}", (1..members).map(|i| format!("\"{i}\":0")).collect::<Vec<_>>().join(","))
    };
    assert!(all(&wide(2048)).is_ok());
    assert_eq!(all(&wide(2049)), Err(Malformed::TooManyMembers));
    let late_duplicate = |index: usize| {
        format!("{{{},\"{index}\":1}}", (0..40).map(|i| format!("\"{i}\":0")).collect::<Vec<_>>().join(","))
    };
    for index in [0, 15, 16, 39] {
        assert_eq!(all(&late_duplicate(index)), Err(Malformed::DuplicateMember));
    }
    assert!(all(&late_duplicate(40)).is_ok());
}

/// The elements of `x`: each one's first member, and the rule that it breaks.
fn of_x(text: &str) -> Result<Option<Vec<Option<Malformed>>>, Malformed> {
    let elements = elements(text.as_bytes(), "x", 3)?;
    Ok(elements.map(|elements| elements.into_iter().map(|(_, broken)| broken).collect()))
}

#[test]
fn an_element_that_breaks_a_rule_is_no_fault_of_the_others() {
    let twice = r#"{"a":1,"b":{"c":[{"d":1,"d":2}]}}"#;
    let private = r#"{"$serde_json::private::Number":"7"}"#;
    let wide =
        |members: usize| format!("{{{}}}", (0..members).map(|i| format!("\"{i}\":0")).collect::<Vec<_>>().join(","));
    let (good, broken) = (None, Some(Malformed::DuplicateMember));
    assert_eq!(of_x(&format!(r#"{{"x":[{{"a":1}},{twice},{{"a":2}}]}}"#)), Ok(Some(vec![good, broken, good])));
    assert_eq!(of_x(&format!(r#"{{"x":[{twice},{twice}],"y":1}}"#)), Ok(Some(vec![broken, broken])));
    assert_eq!(of_x(&format!(r#"{{"x":[{private}]}}"#)), Ok(Some(vec![Some(Malformed::PrivateName)])));
    let many = format!(r#"{{"x":[{},{},{}],"y":1}}"#, wide(2048), wide(2049), wide(2048));
    assert_eq!(of_x(&many), Ok(Some(vec![good, Some(Malformed::TooManyMembers), good])));
    assert_eq!(of_x(r#"{"x":[1,"a",[null]]}"#), Ok(Some(vec![good; 3])));
    let values = elements(br#"{"x":[{"a":1,"a":2}, 7 ]}"#, "x", 3).unwrap().unwrap();
    assert!(matches!(&values[0].0, Value::Object(members) if members.len() == 2), "an id can be looked for");
    assert_eq!(values[1], (Value::Number(Number::Unsigned(7)), None));
}

#[test]
fn the_object_around_elements_is_held_to_all_rules() {
    for (text, rule) in [
        (r#"{"x":[],"x":[]}"#, Malformed::DuplicateMember),
        (r#"{"x":[],"y":{"a":1,"a":2}}"#, Malformed::DuplicateMember),
        (r#"{"x":[{}],"y":1,"y":2}"#, Malformed::DuplicateMember),
        (r#"{"x":[1,2,3,4]}"#, Malformed::TooManyElements),
        (r#"{"x":[1,2,3,{"a":1,"a":1}]}"#, Malformed::TooManyElements),
        (r#"{"x":[1,]}"#, Malformed::Syntax),
        (r#"{"x":[1,2,3,]}"#, Malformed::Syntax),
        (r#"{"x":[,1]}"#, Malformed::Syntax),
        (r#"{"x":[1 2]}"#, Malformed::Syntax),
        (r#"{"x":[1,2,3"#, Malformed::Syntax),
        (r#"{"x":["#, Malformed::Syntax),
        (r#"{"x":[1]}x"#, Malformed::Syntax),
        (r#"{"x":[{"a":1,"a":}]}"#, Malformed::Syntax),
        (r#"{"x":[{"a":1,"a":2]}"#, Malformed::Syntax),
        ("\u{feff}{}", Malformed::ByteOrderMark),
        (&format!(r#"{{"x":[{{"a":1,"a":{}{}}}]}}"#, "[".repeat(16), "]".repeat(16)), Malformed::TooDeep),
    ] {
        assert_eq!(of_x(text), Err(rule), "{text}");
    }
    for none in ["{}", r#"{"x":{}}"#, r#"{"x":null}"#, r#"{"X":[]}"#, r#"{"y":{"x":[]}}"#] {
        assert_eq!(of_x(none), Ok(None), "{none}");
    }
    assert_eq!(of_x(r#"{ "x" : [ ] , "y":[1,2,3,4] }"#), Ok(Some(vec![])));
}

/// Texts that other parsers read alike, or refuse.
#[test]
fn what_is_read_is_what_serde_json_reads() {
    fn same(ours: &Value<'_>, theirs: &serde_json::Value) -> bool {
        match (ours, theirs) {
            (Value::Null, serde_json::Value::Null) => true,
            (Value::Bool(ours), serde_json::Value::Bool(theirs)) => ours == theirs,
            (Value::String(ours), serde_json::Value::String(theirs)) => ours == theirs,
            (Value::Number(Number::Unsigned(ours)), theirs) => theirs.as_u64() == Some(*ours),
            (Value::Number(Number::Negative(ours)), theirs) => theirs.as_i64() == Some(*ours),
            // By default they round the last digit of some numbers the other way.
            (Value::Number(Number::Float(ours)), theirs) => {
                theirs.as_f64().is_some_and(|theirs| (theirs - ours).abs() <= ours.abs() * f64::EPSILON)
            }
            (Value::Array(ours), serde_json::Value::Array(theirs)) => {
                ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| same(ours, theirs))
            }
            (Value::Object(ours), serde_json::Value::Object(theirs)) => {
                ours.len() == theirs.len() && ours.iter().all(|(name, ours)| same(ours, &theirs[&**name]))
            }
            _ => false,
        }
    }

    let values = [
        "null",
        "true",
        "false",
        "nul",
        "tru",
        "truex",
        "fals",
        "nullx",
        "True",
        "0",
        "-0",
        "00",
        "01",
        "-01",
        "1",
        "-1",
        "-",
        "+1",
        ".5",
        "1.",
        "1.5",
        "-1.5e3",
        "1e5",
        "1E+5",
        "1e-5",
        "1e",
        "1e+",
        "1.e5",
        "0.0",
        "0e0",
        "1e308",
        "-1e308",
        "1e309",
        "99999999999999999e291",
        "1.0000000000000000000000000000e308",
        "1e-400",
        "18446744073709551615",
        "18446744073709551616",
        "9223372036854775808",
        "-9223372036854775808",
        "-9223372036854775809",
        "1700000000.5",
        "0x1",
        "NaN",
        "Infinity",
        "1_0",
        "\"\"",
        "\"a\"",
        "\"",
        "\"a",
        "\"\u{e9}\u{1f600}\"",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
        "\"\\x\"",
        "\"\\",
        "\"\\\"",
        "\"\\u0041\\u00e9\"",
        "\"\\u004\"",
        "\"\\u+041\"",
        "\"\\u\"",
        "\"\\u00g0\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud83d\"",
        "\"\\ud83dx\"",
        "\"\\ude00\"",
        "\"\\ud83d\\u0041\"",
        "\"\\ud83d\\ud83d\"",
        "\"\\ud83d\\n\"",
        "\"\\u\u{e9}\u{e9}\"",
        "\"\\\u{e9}\"",
        "\"\\u0000\"",
        "\"\u{0}\"",
        "\"\u{1f}\"",
        "\"\n\"",
        "\"\u{7f}\u{80}\u{2028}\"",
        "[]",
        "[ ]",
        "[1]",
        "[1,]",
        "[,]",
        "[1 2]",
        "[1,2",
        "[",
        "]",
        "[[],[[]]]",
        "{}",
        "{ }",
        "{\"a\":1}",
        "{\"a\" : [ 1 , {\"b\":2} ] }",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{\"a\":1,}",
        "{\"a\":1 \"b\":2}",
        "{\"\":0}",
        "{\"\\u0061\":1}",
        "{\"a\\nb\":1}",
        "{",
        "\u{b}1",
        "\u{a0}1",
        "1\u{c}",
        "// x\n1",
        "",
        " ",
        "1 1",
    ];
    for value in values {
        for text in [
            format!("{{\"v\":{value}}}"),
            format!(" {{ \"v\" \t:\r\n{value} , \"w\":[{value}]}} "),
            format!("{{\"v\":{{\"w\":{value},\"x\":\"\"}}}}"),
        ] {
            let theirs: Option<serde_json::Value> = serde_json::from_str(&text).ok();
            match all(&text) {
                Ok(members) => {
                    assert!(theirs.is_some_and(|theirs| same(&Value::Object(members), &theirs)), "{text}")
                }
                Err(_) => assert_eq!(theirs, None, "{text}"),
            }
            assert_eq!(object(text.as_bytes(), |_| false).is_ok(), all(&text).is_ok(), "{text}");
        }
    }
}

#[test]
fn the_end_of_what_is_plain_is_found_at_every_place() {
    for byte in 0..=0x7f_u8 {
        for place in 0..20 {
            for filling in ['a', '!', '#', '[', ']', ' ', '\u{7f}', '\u{e9}', '\u{2028}'] {
                let before = filling.to_string().repeat(place);
                let text = format!("{before}{}{before}\"", char::from(byte));
                let expected = text.bytes().position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\').unwrap();
                assert_eq!(plain(text.as_bytes(), 0), expected, "{text:?}");
                let object = format!("{{\"{text}:\"{text},\"\":\"{text}}}");
                let theirs = serde_json::from_str::<serde_json::Map<_, _>>(&object).is_ok();
                assert_eq!(all(&object).is_ok(), theirs && !text.starts_with('"'), "{object:?}");
            }
        }
    }
    assert_eq!((plain(b"", 0), plain(b"abc", 0), plain(b"abcdefghi", 0), plain(b"\"a\"", 1)), (0, 3, 9, 2));
}

#[test]
fn a_member_has_its_slot_or_is_among_the_others() {
    let place = |name: &str| match name {
        "a" => Place::Slot(0),
        "b" => Place::Slot(1),
        "x" => Place::Slot(2),
        "c" => Place::Among,
        _ => Place::Nowhere,
    };
    let mut slots = [None, None];
    let others = place_members(r#"{"b":1,"c":2,"d":3}"#, &mut slots, place).unwrap();
    assert_eq!(slots, [None, Some(Value::Number(Number::Unsigned(1)))]);
    assert_eq!(others, [("c".into(), Value::Number(Number::Unsigned(2)))]);
    for bad in [r#"{"a":1,"a":null}"#, r#"{"a":null,"a":1}"#, r#"{"c":1,"c":1}"#, r#"{"d":1,"d":1}"#, r#"{"x":1}"#] {
        assert_eq!(place_members(bad, &mut [None, None], place), Err(Malformed::DuplicateMember), "{bad}");
    }
}

#[test]
fn types_have_names() {
    let names: Vec<_> =
        all(r#"{"a":[],"b":true,"c":null,"d":1,"e":{},"f":""}"#).unwrap().iter().map(|(_, v)| v.type_name()).collect();
    assert_eq!(names, ["an array", "a boolean", "null", "a number", "an object", "a string"]);
}

#[test]
fn equal_marks_of_short_names_of_one_length_mean_equal_names() {
    let names: Vec<String> = (0..=7)
        .flat_map(|length| {
            let base = "abcdefg"[..length].to_owned();
            let changed = (0..length).map({
                let base = base.clone();
                move |at| {
                    let mut name = base.clone();
                    name.replace_range(at..=at, "z");
                    name
                }
            });
            changed.chain([base.clone()]).collect::<Vec<_>>()
        })
        .collect();
    for one in &names {
        for other in &names {
            assert_eq!(one.len() == other.len() && mark(one) == mark(other), one == other, "{one} {other}");
        }
    }
    assert_eq!(mark("token_use"), mark("token_us") /* longer names are to be compared */);
}
