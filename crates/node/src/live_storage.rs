//! Where recordings are kept.

use std::sync::Arc;

use napi_derive::napi;
use sluice_server::stream::{FsStorage, Storage};

use crate::errors::{Code, Fault};
use crate::guard::guard;

/// A place for recordings.
#[napi]
pub struct NativeStorage(Arc<dyn Storage>);

#[napi]
impl NativeStorage {
    /// A folder of the file system.
    #[napi(factory, catch_unwind)]
    pub fn directory(path: String) -> Result<Self, Fault> {
        guard(|| match FsStorage::new(&path) {
            Ok(storage) => Ok(Self(Arc::new(storage))),
            Err(error) => Err(Fault::new(
                Code::InvalidArgument,
                format!("directory {path:?}: {error}"),
            )),
        })
    }
}

impl NativeStorage {
    pub(crate) fn place(&self) -> Arc<dyn Storage> {
        Arc::clone(&self.0)
    }
}
