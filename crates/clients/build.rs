//! Compiles the project's own `.proto` files to clients, without `protoc`.

use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(["machine.proto", "cosi.proto", "runtime.proto", "extensions.proto"], ["proto"])?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    tonic_prost_build::configure()
        .build_server(false)
        .build_transport(false)
        // A whole configuration, secrets and all, and pieces of a cluster's database.
        .skip_debug(["machine.ApplyConfigurationRequest", "common.Data"])
        // A snapshot is large: pieces of it are handed on, not copied.
        .bytes(".common.Data")
        .out_dir(out)
        .compile_fds(descriptors)?;
    Ok(())
}
