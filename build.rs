//! Build script of `crates/node`: link flags and rebuild rules of a Node-API addon.

fn main() {
    napi_build::setup();
}
