//! The classes of refusals, with their statuses and codes.

use http::StatusCode;

/// The class of a refusal.
///
/// | kind | status | OAuth error code | gRPC status |
/// |---|---|---|---|
/// | [`InvalidRequest`](Self::InvalidRequest) | 400 | `invalid_request` | 16 `UNAUTHENTICATED` |
/// | [`MissingCredentials`](Self::MissingCredentials) | 401 | none | 16 `UNAUTHENTICATED` |
/// | [`InvalidToken`](Self::InvalidToken) | 401 | `invalid_token` | 16 `UNAUTHENTICATED` |
/// | [`InvalidDpopProof`](Self::InvalidDpopProof) | 401 | `invalid_dpop_proof` | 16 `UNAUTHENTICATED` |
/// | [`UseDpopNonce`](Self::UseDpopNonce) | 401 | `use_dpop_nonce` | 16 `UNAUTHENTICATED` |
/// | [`InsufficientScope`](Self::InsufficientScope) | 403 | `insufficient_scope` | 7 `PERMISSION_DENIED` |
/// | [`Misconfigured`](Self::Misconfigured) | 500 | no challenge | 13 `INTERNAL` |
/// | [`Unavailable`](Self::Unavailable) | 503 | no challenge, `Retry-After` | 14 `UNAVAILABLE` |
///
/// Statuses and codes are those of RFC 6750 §3.1 and RFC 9449 §7.1 and §9; the gRPC statuses are Scopegate's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The token is valid and lacks scope for this request.
    InsufficientScope,
    /// The proof that comes with a token is invalid (RFC 9449 §7.1).
    InvalidDpopProof,
    /// The credentials are malformed, or there are several.
    InvalidRequest,
    /// The token is invalid.
    InvalidToken,
    /// The service is misconfigured, or code of the application panicked. The client cannot remedy it.
    Misconfigured,
    /// There are no credentials.
    MissingCredentials,
    /// The token cannot be verified at the moment. This says nothing about the token.
    Unavailable,
    /// The proof that comes with a token lacks a nonce of this service (RFC 9449 §9). The response has one.
    UseDpopNonce,
}

struct Row {
    status: StatusCode,
    code: Option<&'static str>,
    grpc: u16,
    challenged: bool,
}

impl ErrorKind {
    /// The row of the table above.
    const fn row(self) -> Row {
        // CHAL-4, SCOPE-4, MCP-5, GRPC-2: one status and code for each class.
        let (status, code, grpc, challenged) = match self {
            Self::InvalidRequest => (StatusCode::BAD_REQUEST, Some("invalid_request"), 16, true),
            Self::MissingCredentials => (StatusCode::UNAUTHORIZED, None, 16, true),
            Self::InvalidToken => (StatusCode::UNAUTHORIZED, Some("invalid_token"), 16, true),
            Self::InvalidDpopProof => (StatusCode::UNAUTHORIZED, Some("invalid_dpop_proof"), 16, true),
            Self::UseDpopNonce => (StatusCode::UNAUTHORIZED, Some("use_dpop_nonce"), 16, true),
            Self::InsufficientScope => (StatusCode::FORBIDDEN, Some("insufficient_scope"), 7, true),
            Self::Misconfigured => (StatusCode::INTERNAL_SERVER_ERROR, None, 13, false),
            // CHAL-10: what cannot be decided is no verdict on the token.
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, None, 14, false),
        };
        Row { status, code, grpc, challenged }
    }

    /// The HTTP status.
    pub const fn status(self) -> StatusCode {
        self.row().status
    }

    /// The value of the challenge's `error` parameter, if it has one.
    pub const fn code(self) -> Option<&'static str> {
        self.row().code
    }

    /// The name of the class, as its problem document has it and as a metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InsufficientScope => "insufficient_scope",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::InvalidRequest => "invalid_request",
            Self::InvalidToken => "invalid_token",
            Self::Misconfigured => "misconfigured",
            Self::MissingCredentials => "missing_credentials",
            Self::Unavailable => "unavailable",
            Self::UseDpopNonce => "use_dpop_nonce",
        }
    }

    /// The sentence of the class, for a client that gets no description.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::InsufficientScope => "insufficient scope",
            Self::InvalidDpopProof => "invalid DPoP proof",
            Self::InvalidRequest => "invalid request",
            Self::InvalidToken => "invalid token",
            Self::Misconfigured => "misconfigured",
            Self::MissingCredentials => "missing credentials",
            Self::Unavailable => "unavailable",
            Self::UseDpopNonce => "DPoP nonce required",
        }
    }

    /// The gRPC status code, for gRPC requests to a service that speaks it.
    pub const fn grpc_status(self) -> u16 {
        self.row().grpc
    }

    /// Whether the answer carries a `WWW-Authenticate` challenge.
    pub const fn is_challenged(self) -> bool {
        self.row().challenged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chal_4_each_kind_has_one_status_and_one_code() {
        let table = [
            (ErrorKind::InvalidRequest, 400, Some("invalid_request"), 16, true),
            (ErrorKind::MissingCredentials, 401, None, 16, true),
            (ErrorKind::InvalidToken, 401, Some("invalid_token"), 16, true),
            (ErrorKind::InvalidDpopProof, 401, Some("invalid_dpop_proof"), 16, true),
            (ErrorKind::UseDpopNonce, 401, Some("use_dpop_nonce"), 16, true),
            (ErrorKind::InsufficientScope, 403, Some("insufficient_scope"), 7, true),
            (ErrorKind::Misconfigured, 500, None, 13, false),
            (ErrorKind::Unavailable, 503, None, 14, false),
        ];
        for (kind, status, code, grpc, challenged) in table {
            assert_eq!(kind.status().as_u16(), status);
            assert_eq!(kind.code(), code);
            assert!(code.is_none_or(|code| code == kind.as_str()), "{kind:?}");
            assert_eq!(kind.grpc_status(), grpc);
            assert_eq!(kind.is_challenged(), challenged);
        }
    }
}
