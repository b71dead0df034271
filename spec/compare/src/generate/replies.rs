//! Random issuers that are asked, and their answers.

use proptest::{
    prelude::{Just, Strategy, any},
    sample::select,
};
use scopegate_spec::Mode;

use super::{
    choice::{maybe, one_of, rarely, weighted},
    offset, pooled, signature,
};
use crate::{
    introspection::Asked,
    mutation::Form,
    reply::{ReplyEdit, ReplyPlan},
    values::{
        TYPES, is_open,
        reply::{BESIDE, CONTENT_TYPES, HEADERS, MEMBERS, TEXTS},
    },
};

/// How an issuer is asked.
pub(super) fn asked() -> impl Strategy<Value = Asked> {
    let mode = select(vec![Mode::OpaqueAlone, Mode::Also, Mode::Instead]);
    let has_keys = weighted(vec![(3, true), (1, false)]);
    let weakened = (rarely(5), rarely(5), rarely(4));
    (mode, has_keys, any::<bool>(), weakened, rarely(2), any::<bool>()).prop_map(
        |(mode, has_keys, has_prefix, weakened, signed, cached)| {
            let (accept_without_audience, require_token_type, scope_array) = weakened;
            Asked {
                mode,
                has_keys,
                has_prefix,
                accept_without_audience,
                require_token_type,
                scope_array,
                signed,
                cached,
            }
        },
    )
}

/// An answer.
pub(super) fn reply() -> impl Strategy<Value = ReplyPlan> {
    maybe(0.4, edit()).prop_map(|edit| ReplyPlan { edits: edit.into_iter().collect() })
}

fn edit() -> impl Strategy<Value = ReplyEdit> {
    let member = || select(MEMBERS);
    let typed = (select(vec!["aud", "sub", "client_id", "scope", "exp", "nbf", "iat", "jti", "iss"]), select(TYPES));
    let form = weighted(vec![(6, Form::Integer), (2, Form::Half), (1, Form::Exponent), (1, Form::Text)]);
    let ages = vec![1, 59, 60, 61, 119, 120, 121, 359, 360, 361, -1, -59, -60, -61, -300, -301];
    one_of![
        8 => member().prop_map(|(name, value)| ReplyEdit::Member(name, value)),
        1 => Just(ReplyEdit::Member("token_type", "\"DPoP\"")),
        1 => Just(ReplyEdit::Member("active", "\"true\"")),
        2 => typed.prop_map(|(name, value)| {
            let is_open = is_open(name, value) || (name, value) == ("aud", "[]");
            ReplyEdit::Member(if is_open { "x" } else { name }, value)
        }),
        2 => select(vec!["active", "aud", "sub", "client_id", "scope", "exp", "iat", "cnf"]).prop_map(ReplyEdit::NoMember),
        1 => member().prop_map(|(name, value)| ReplyEdit::MemberTwice(name, value)),
        3 => (select(vec!["exp", "nbf", "iat"]), offset(), form)
            .prop_map(|(name, offset, form)| ReplyEdit::Time(name, offset, form)),
        1 => select(TEXTS).prop_map(ReplyEdit::Text),
        1 => select(vec![201, 302, 400, 401, 403, 404, 500]).prop_map(ReplyEdit::Status),
        1 => select(CONTENT_TYPES).prop_map(ReplyEdit::ContentType),
        1 => Just(ReplyEdit::Outage),
        2 => select(HEADERS).prop_map(|(name, value)| ReplyEdit::Header(name, value)),
        3 => select(BESIDE).prop_map(|(name, value)| ReplyEdit::Beside(name, value)),
        2 => Just(ReplyEdit::Beside("token_introspection", "null")),
        2 => Just(ReplyEdit::ContentType("application/json")),
        1 => select(vec!["iss", "aud", "iat", "token_introspection"]).prop_map(ReplyEdit::NothingBeside),
        2 => select(ages).prop_map(ReplyEdit::Age),
        1 => pooled().prop_map(ReplyEdit::Signer),
        1 => signature().prop_map(ReplyEdit::Signature),
    ]
}
