//! A request that is refused, and why.

use super::http::Response;

/// A refusal on its way to a response with a problem statement (RFC 9725 §4.1, RFC 9457).
///
/// The detail never quotes the request, so that nothing of a stranger needs escaping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    status: u16,
    detail: &'static str,
    headers: Vec<(&'static str, String)>,
}

impl Problem {
    pub(crate) const fn new(status: u16, detail: &'static str) -> Self {
        Self {
            status,
            detail,
            headers: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn response(self) -> Response {
        let body = format!(
            r#"{{"title":"{}","status":{},"detail":"{}"}}"#,
            title(self.status),
            self.status,
            self.detail
        );
        let response = Response {
            headers: self.headers,
            ..Response::empty(self.status)
        };
        response.content("application/problem+json", body)
    }
}

/// The reason phrases of RFC 9110 §15 and RFC 6585.
const fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Internal Server Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problem_is_json_with_the_status_in_it() {
        let response = Problem::new(428, "PATCH needs If-Match").response();
        let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(body["status"], 428);
        assert_eq!(body["title"], "Precondition Required");
    }
}
