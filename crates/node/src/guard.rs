//! One place where a panic of ours stops before Node's C frames, which would abort the process.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::errors::{Code, Fault};

/// Runs the body of an exported function; a panic becomes `ERR_INTERNAL`.
pub(crate) fn guard<T>(body: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| {
        Err(Fault::new(
            Code::Internal,
            "a panic in the native addon; please report it".to_owned(),
        ))
    })
}
