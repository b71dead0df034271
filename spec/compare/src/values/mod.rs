//! Texts that requests and key sets are changed with. Values are JSON.

pub mod proof;
pub mod reply;

/// Scope tokens.
pub const SCOPES: &[&str] =
    &["message", "read", "write", "admin", "book", "book:read", "book:1:read", "book:*:read", "*"];

/// Names of algorithms, some of which nobody offers.
pub const ALGORITHM_NAMES: &[&str] = &[
    "ES256", "ES384", "ES512", "Ed25519", "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "HS256",
    "none", "es256", "Ed448", "",
];

/// A value of each type.
pub const TYPES: &[&str] =
    &["null", "true", "5", "1.5", "-1", "\"\"", "\"x\"", "\"alice\"", "[]", "[\"x\"]", "[5]", "{}", "{\"a\":1}"];

/// Members of a header.
pub const HEADERS: &[&str] =
    &["alg", "kid", "typ", "crit", "b64", "cty", "jwk", "jku", "x5c", "x5u", "zip", "enc", "iss", "x"];

/// Members of a header, and values that mean something.
pub const HEADER_VALUES: &[(&str, &str)] = &[
    ("typ", "\"at+jwt\""),
    ("typ", "\"AT+JWT\""),
    ("typ", "\"application/at+jwt\""),
    ("typ", "\"Application/AT+jwt\""),
    ("typ", "\"application/application/at+jwt\""),
    ("typ", "\"JWT\""),
    ("typ", "\"jwt\""),
    ("typ", "\"application/jwt\""),
    ("typ", "\"dpop+jwt\""),
    ("typ", "\"logout+jwt\""),
    ("typ", "\"at+jwt \""),
    ("kid", "\"k1\""),
    ("kid", "\"k2\""),
    ("kid", "\"k3\""),
    ("kid", "\"K1\""),
    ("kid", "\"\\u006b1\""),
    ("crit", "[\"exp\"]"),
    ("crit", "[\"b64\"]"),
    ("b64", "false"),
    ("b64", "true"),
    ("alg", "\"none\""),
    ("alg", "\"None\""),
    ("alg", "\"HS256\""),
    ("cty", "\"JWT\""),
    ("jku", "\"https://keys.example/0\""),
];

/// Claims.
pub const CLAIMS: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "client_id",
    "azp",
    "scope",
    "scp",
    "permissions",
    "realm_access",
    "cnf",
    "act",
    "authorization_details",
    "auth_time",
    "acr",
    "amr",
    "nonce",
    "at_hash",
    "c_hash",
    "events",
    "htm",
    "htu",
    "token_introspection",
    "status_list",
    "token_use",
    "typ",
    "kind",
    "gty",
    "may_act",
    "sid",
    "roles",
    "groups",
    "entitlements",
    "status",
    "x",
];

/// Claims, and values that mean something.
pub const CLAIM_VALUES: &[(&str, &str)] = &[
    ("iss", "\"https://a.example\""),
    ("iss", "\"https://a.example/\""),
    ("iss", "\"https://A.example\""),
    ("iss", "\"https:\\/\\/a.example\""),
    ("iss", "\"https://b.example/oidc/\""),
    ("iss", "[\"https://a.example\"]"),
    ("aud", "\"https://api.example\""),
    ("aud", "\"https://api.example/\""),
    ("aud", "[\"https://api.example\"]"),
    ("aud", "[\"https://api.example\",5]"),
    ("aud", "[\"https://api.example\",\"orders\"]"),
    ("aud", "[\"x\",\"orders\"]"),
    ("aud", "\"orders\""),
    ("aud", "\"ORDERS\""),
    ("client_id", "\"web\""),
    ("client_id", "\"mobile\""),
    ("client_id", "\"other\""),
    ("azp", "\"web\""),
    ("azp", "\"other\""),
    ("scope", "\"message  read\""),
    ("scope", "\" message\\tread write\""),
    ("scope", "\"admin\""),
    ("scope", "\"message \\u00e9 write \\\"\""),
    ("scope", "\"message message\""),
    ("scope", "[\"message\",\"write\"]"),
    ("scope", "[\"message read\"]"),
    ("scope", "[\"message\",\"\"]"),
    ("scope", "[\"message\",\"\\u00e9\"]"),
    ("scope", "[\"message\",5]"),
    ("scp", "\"message write\""),
    ("scp", "[\"message\",\"book:*\"]"),
    ("scp", "[\"message write\"]"),
    ("scp", "[\"*\"]"),
    ("permissions", "[\"message\"]"),
    ("permissions", "\"message\""),
    ("realm_access", "{\"roles\":[\"message\"]}"),
    ("realm_access", "{\"roles\":\"message write\"}"),
    ("realm_access", "{\"roles\":[5]}"),
    ("realm_access", "{\"roles\":null}"),
    ("realm_access", "{\"roles\":[\"message\"],\"roles\":[]}"),
    ("cnf", "{\"jkt\":\"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I\"}"),
    ("cnf", "{\"x5t#S256\":\"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2\"}"),
    ("cnf", "{\"kid\":\"1\"}"),
    ("act", "{\"sub\":\"bob\"}"),
    ("act", "{\"sub\":\"bob\",\"act\":{\"sub\":5},\"exp\":1}"),
    ("act", "{\"sub\":5}"),
    ("authorization_details", "[{\"type\":\"payment\"}]"),
    ("authorization_details", "[{\"type\":\"payment\"},{\"type\":5}]"),
    ("authorization_details", "[{}]"),
    ("amr", "[\"pwd\",\"mfa\"]"),
    ("acr", "\"gold\""),
    ("nonce", "\"n\""),
    ("token_use", "\"access\""),
    ("token_use", "\"id\""),
    ("typ", "\"Bearer\""),
    ("typ", "\"DPoP\""),
    ("typ", "\"ID\""),
    ("typ", "\"Refresh\""),
    ("typ", "\"Offline\""),
    ("typ", "\"Logout\""),
    ("kind", "\"access\""),
    ("kind", "\"ACCESS\""),
    ("exp", "0"),
    ("exp", "-1"),
    ("exp", "9007199254740991"),
    ("exp", "1e12"),
    ("nbf", "0"),
    ("iat", "0"),
    ("x", "[[[[[[[[]]]]]]]]"),
    ("x", "{\"a\":1,\"a\":2}"),
    ("x", "{\"a\":{\"b\":1,\"\\u0062\":2}}"),
    ("x", "\"\\ud800\""),
    ("x", "01"),
    ("x", "+1"),
    ("x", "nul"),
    ("x", "'x'"),
    ("x", "1,"),
    ("x", "\"\u{1}\""),
    ("x", "-0.0e-5"),
    ("x", "\"\u{1f600}\\ud83d\\ude00\""),
];

/// Whether it is open what a claim with this value means: `DIFFERENCES.md` says why.
pub fn is_open(claim: &str, value: &str) -> bool {
    match claim {
        "nbf" | "iat" | "auth_time" => value.starts_with('-'),
        "jti" | "sub" | "client_id" => value == "\"\"",
        "azp" => value == "\"\"" || !value.starts_with('"'),
        "permissions" | "gty" => matches!(value, "true" | "5" | "1.5" | "-1" | "{}"),
        _ => false,
    }
}

/// Payloads that are no claims.
pub const PAYLOADS: &[&[u8]] = &[
    b"",
    b"{}",
    b"[]",
    b"null",
    b"\"x\"",
    b" {} ",
    b"{}{}",
    b"\xef\xbb\xbf{}",
    b"{\"iss\":\"\xff\"}",
    b"{",
    b"{\"iss\"}",
    b"{,}",
];

/// Texts in place of a token. The last is a JWE.
pub const WHOLE_TOKENS: &[&str] = &[
    "",
    "x",
    "..",
    "a.b.c",
    "e30.e30.e30",
    "eyJhbGciOiJub25lIn0.e30.",
    "a.b.c.d.e",
    "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkExMjhHQ00ifQ.a.b.c.d",
];

/// Members of a key, and whether they stand beside one of that name.
pub const KEY_EDITS: &[(&str, &str, bool)] = &[
    ("use", "\"sig\"", false),
    ("use", "\"enc\"", false),
    ("use", "\"SIG\"", false),
    ("use", "null", false),
    ("use", "5", false),
    ("key_ops", "[\"verify\"]", false),
    ("key_ops", "[\"sign\",\"verify\"]", false),
    ("key_ops", "[\"sign\"]", false),
    ("key_ops", "[]", false),
    ("key_ops", "\"verify\"", false),
    ("key_ops", "[\"verify\",5]", false),
    ("key_ops", "null", false),
    ("d", "\"AAAA\"", false),
    ("d", "null", false),
    ("k", "\"AAAA\"", false),
    ("kid", "5", false),
    ("kid", "null", false),
    ("kid", "\"\"", false),
    ("kid", "\"k1\"", true),
    ("alg", "5", false),
    ("alg", "null", false),
    ("alg", "\"ES256\"", true),
    ("kty", "\"oct\"", false),
    ("kty", "\"EC\"", false),
    ("kty", "\"ec\"", false),
    ("kty", "null", false),
    ("crv", "\"P-384\"", false),
    ("crv", "\"Ed25519\"", false),
    ("crv", "\"X25519\"", false),
    ("x", "\"AAAA\"", false),
    ("x", "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"", false),
    ("y", "\"AAAA\"", false),
    ("y", "null", false),
    ("n", "\"AAAA\"", false),
    ("e", "\"AQAB\"", false),
    ("e", "\"AQ\"", false),
    ("x5c", "[]", false),
    ("ext", "true", false),
];

/// Paths of a request.
pub const PATHS: &[&str] =
    &["/", "/messages/", "/%6Dessages", "/a/../messages", "/mess%2fages", "//messages", "/~r", "/%7er", "/MESSAGES"];
