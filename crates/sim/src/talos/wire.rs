//! The message and service types that the build makes from `proto/`.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::wildcard_enum_match_arm, reason = "generated code")]

use std::fmt;

/// Types that carry secrets show their names alone.
macro_rules! redacted {
    ($($message:ty),* $(,)?) => {$(
        impl fmt::Debug for $message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($message), "(<redacted>)"))
            }
        }
    )*};
}

redacted!(
    machine::ApplyConfigurationRequest,
    machine::GenerateClientConfiguration,
    resource::config::MachineConfigSpec,
    common::Data,
);

pub mod common {
    tonic::include_proto!("common");
}

pub mod machine {
    tonic::include_proto!("machine");
}

pub mod cosi {
    pub mod resource {
        tonic::include_proto!("cosi.resource");
    }
}

pub mod talos {
    pub mod resource {
        pub mod definitions {
            pub mod enums {
                tonic::include_proto!("talos.resource.definitions.enums");
            }
            pub mod runtime {
                tonic::include_proto!("talos.resource.definitions.runtime");
            }
            pub mod cluster {
                tonic::include_proto!("talos.resource.definitions.cluster");
            }
            pub mod etcd {
                tonic::include_proto!("talos.resource.definitions.etcd");
            }
            pub mod extensions {
                tonic::include_proto!("talos.resource.definitions.extensions");
            }
        }
    }
}

pub mod resource {
    pub mod config {
        tonic::include_proto!("resource.config");
    }
}

pub mod etcdserverpb {
    tonic::include_proto!("etcdserverpb");
}

/// The descriptors of everything here, as a `FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
