//! What reaches JavaScript as `error.code`.

use std::error::Error as _;
use std::io;

use napi::{Env, Error, JsError, Status};
use sluice_server::ServerError;
use sluice_server::room::{InvalidId, SfuError};
use sluice_server::stream::{FrameError, StreamError, StreamKeyError};

/// The closed set of codes; `ts/errors.ts` holds the same list with a sentence for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    Busy,
    InvalidArgument,
    Closed,
    Sdp,
    Ice,
    Codec,
    Auth,
    StreamNotFound,
    StreamExists,
    AppNotFound,
    AppExists,
    Limit,
    AddressInUse,
    Storage,
    Internal,
}

/// An error on its way to JavaScript.
pub type Fault = Error<Code>;

impl AsRef<str> for Code {
    fn as_ref(&self) -> &str {
        match self {
            Self::Busy => "ERR_BUSY",
            Self::InvalidArgument => "ERR_INVALID_ARGUMENT",
            Self::Closed => "ERR_CLOSED",
            Self::Sdp => "ERR_SDP",
            Self::Ice => "ERR_ICE",
            Self::Codec => "ERR_CODEC",
            Self::Auth => "ERR_AUTH",
            Self::StreamNotFound => "ERR_STREAM_NOT_FOUND",
            Self::StreamExists => "ERR_STREAM_ALREADY_PUBLISHING",
            Self::AppNotFound => "ERR_APP_NOT_FOUND",
            Self::AppExists => "ERR_APP_ALREADY_REGISTERED",
            Self::Limit => "ERR_LIMIT",
            Self::AddressInUse => "ERR_ADDRINUSE",
            Self::Storage => "ERR_STORAGE",
            Self::Internal => "ERR_INTERNAL",
        }
    }
}

impl From<Status> for Code {
    fn from(status: Status) -> Self {
        match status {
            Status::Closing => Self::Closed,
            Status::QueueFull => Self::Busy,
            Status::InvalidArg
            | Status::ObjectExpected
            | Status::StringExpected
            | Status::FunctionExpected
            | Status::NumberExpected
            | Status::BooleanExpected
            | Status::ArrayExpected => Self::InvalidArgument,
            _ => Self::Internal,
        }
    }
}

/// The error of a call that the server refused, with the system's own as its cause.
pub(crate) fn fault(error: &ServerError) -> Fault {
    let code = match error {
        ServerError::Closed => Code::Closed,
        ServerError::Busy => Code::Busy,
        ServerError::Sfu(e) => code_of(e),
        ServerError::Stream(e) => stream_code(e),
        ServerError::Frame(e) => frame_code(*e),
        ServerError::Bind { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
            Code::AddressInUse
        }
        ServerError::InvalidOption(_) | ServerError::Bind { .. } => Code::InvalidArgument,
        ServerError::Record(_) => Code::Storage,
        ServerError::Internal(_) => Code::Internal,
    };
    let mut fault = Fault::new(code, error.to_string());
    if let Some(source) = error.source() {
        fault.set_cause(Error::from_reason(source.to_string()));
    }
    fault
}

/// The error of an argument that is no id of ours.
pub(crate) fn foreign_id(error: &InvalidId) -> Fault {
    Fault::new(Code::InvalidArgument, error.to_string())
}

/// The error of an argument that is no stream's name.
pub(crate) fn bad_key(error: &StreamKeyError) -> Fault {
    Fault::new(Code::InvalidArgument, error.to_string())
}

/// An error object made now, so that code and cause survive a promise's rejection.
pub(crate) fn into_js(env: &Env, fault: Fault) -> Error {
    Error::from(JsError::from(fault).into_unknown(*env))
}

fn code_of(error: &SfuError) -> Code {
    match error {
        SfuError::ClientClosed => Code::Closed,
        SfuError::UnknownTrack(_) | SfuError::Role => Code::InvalidArgument,
        SfuError::Sdp(_) | SfuError::SdpFatal(_) | SfuError::NoPendingOffer => Code::Sdp,
        SfuError::Candidate(_) => Code::Ice,
        SfuError::Full => Code::Busy,
    }
}

fn stream_code(error: &StreamError) -> Code {
    match error {
        StreamError::AppNotFound => Code::AppNotFound,
        StreamError::AppAlreadyRegistered => Code::AppExists,
        StreamError::StreamNotFound => Code::StreamNotFound,
        StreamError::StreamAlreadyPublishing => Code::StreamExists,
        StreamError::Unauthorized { .. } | StreamError::NotAdmitted => Code::Auth,
        StreamError::InvalidSpec(_) | StreamError::CredentialsTooLong => Code::InvalidArgument,
        StreamError::SessionEnded | StreamError::AdmissionNotFound => Code::Closed,
        _ => Code::Limit,
    }
}

fn frame_code(error: FrameError) -> Code {
    match error {
        FrameError::SessionEnded => Code::Closed,
        FrameError::RateLimited | FrameError::TooLarge { .. } => Code::Limit,
        FrameError::CodecMismatch | FrameError::ConfigTooLarge => Code::Codec,
        _ => Code::InvalidArgument,
    }
}
