//! The messages and clients that `build.rs` compiles from the project's own `.proto` files, by package.

#![allow(missing_docs, unreachable_pub, clippy::all)]

pub(super) mod common {
    include!(concat!(env!("OUT_DIR"), "/common.rs"));
}

pub(super) mod machine {
    include!(concat!(env!("OUT_DIR"), "/machine.rs"));
}

pub(super) mod cosi {
    include!(concat!(env!("OUT_DIR"), "/cosi.resource.rs"));
}

pub(super) mod runtime {
    include!(concat!(env!("OUT_DIR"), "/talos.resource.definitions.runtime.rs"));
}

pub(super) mod extensions {
    include!(concat!(env!("OUT_DIR"), "/talos.resource.definitions.extensions.rs"));
}

pub(super) mod enums {
    include!(concat!(env!("OUT_DIR"), "/talos.resource.definitions.enums.rs"));
}
