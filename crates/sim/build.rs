//! Compiles the simulator's own `.proto` files, without `protoc`: servers of Talos' services, a client of etcd's, and
//! the descriptors that a test holds against the published definitions. Lists the files of the stand-in charts, so that
//! they are in the program.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

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
    println!("cargo::rerun-if-changed=charts");
    let mut charts = "&[\n".to_owned();
    for path in files(Path::new("charts"))? {
        let name = path.strip_prefix("charts")?.to_string_lossy().into_owned();
        let file = format!("/{}", path.display());
        writeln!(charts, "({name:?}, include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {file:?}))),")?;
    }
    charts.push(']');
    std::fs::write(out.join("charts.rs"), charts)?;
    Ok(())
}

/// All files below a directory, sorted.
fn files(dir: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
