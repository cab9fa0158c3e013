//! Files over HTTP: conditional requests and ranges (RFC 9110 §13, §14), and the dates they speak of.
//!
//! A [`Representation`] says what there is, [`Representation::select`] what of it a request gets.

mod date;
mod range;

pub use date::{Moment, http_date, parse_http_date, parse_rfc3339, rfc3339, seconds};
pub use range::{Conditions, Representation, Selected};
