//! Compiles the simulator's own `.proto` files, without `protoc`: servers of Talos' services, a client of etcd's, and
//! the descriptors that a test holds against the published definitions.

use std::error::Error;
use std::path::PathBuf;

use prost::Message as _;

const PROTOS: &[&str] = &[
    "machine.proto",
    "cosi.proto",
    "runtime.proto",
    "cluster.proto",
    "etcd.proto",
    "config.proto",
    "extensions.proto",
    "etcdserver.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(PROTOS, ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .skip_debug([
            "resource.config.MachineConfigSpec",
            "machine.ApplyConfigurationRequest",
            "machine.GenerateClientConfiguration",
            "common.Data",
        ])
        .compile_fds(descriptors)?;
    Ok(())
}
