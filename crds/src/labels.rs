//! Every label key, annotation key, finalizer and field manager that Helix writes or reads.
//!
//! It deliberately holds only names: what a value may be is said where the value is made. Label values at Hetzner hold at
//! most 63 characters, a schematic id has 64: [`SCHEMATIC`] carries the first 32 hex digits.

/// Label: UID of the owning `HelixPlatform`. Only what carries it is ever changed or deleted.
pub const PLATFORM_UID: &str = "helix.dev/platform-uid";
/// Label: name of the owning `HelixPlatform`, for people; ownership is decided by [`PLATFORM_UID`] alone.
pub const PLATFORM: &str = "helix.dev/platform";
/// Label: pool of a machine; control planes are the pool [`CONTROL_PLANE_POOL`].
pub const POOL: &str = "helix.dev/pool";
/// Label: stable name of a machine, `<platform>-<pool>-<slot>`.
pub const MACHINE: &str = "helix.dev/machine";
/// Label of a resource that `spec.adopt` named and that Helix took over: it outlives the platform, unless somebody takes
/// this label off it.
pub const ADOPTED: &str = "helix.dev/adopted";
/// Label of an image: the Talos version in it, for example `v1.13.9`.
pub const TALOS_VERSION: &str = "helix.dev/talos-version";
/// Label of an image: the first 32 hex digits of its schematic id.
pub const SCHEMATIC: &str = "helix.dev/schematic";

/// Label of a load balancer that Hetzner's cloud controller manager has made: the UID of its Service. Not Helix' own; alone
/// it proves nothing, for anybody can write it.
pub const SERVICE_UID: &str = "hcloud-ccm/service-uid";

/// Label of an object in a platform's cluster: the component that it is part of. By it the object is found again.
pub const COMPONENT: &str = "helix.dev/component";

/// Annotation of a platform: digest of the destructive work that is approved, as `status.plan` prints it.
pub const APPROVE: &str = "helix.dev/approve";
/// Annotation of a platform: the etcd snapshot to restore the control plane from.
pub const RESTORE_FROM: &str = "helix.dev/restore-from";
/// Annotation of a platform: asks for a rotation of its certificate authorities.
pub const ROTATE_CA: &str = "helix.dev/rotate-ca";
/// Annotation of a machine: asks for its replacement.
pub const REPLACE: &str = "helix.dev/replace";
/// Annotation of a machine: leave it alone, whatever is found.
pub const HOLD: &str = "helix.dev/hold";
/// Annotation of a node: digest of the inputs of the machine config that was applied to it last.
pub const CONFIG: &str = "helix.dev/config";
/// Annotation of a control plane's node: the versions of API server and controllers in its machine config.
pub const CONTROL_PLANE: &str = "helix.dev/control-plane";
/// Annotation of a node: that Helix is disturbing its machine, why, and since when.
pub const DISRUPTION: &str = "helix.dev/disruption";
/// Annotation of a node: labels and taints that Helix has set through the Kubernetes API, so that it can take them away.
pub const OWNED: &str = "helix.dev/owned";

/// Finalizer of a platform: what it made at the provider is deleted before the platform is.
pub const TEARDOWN_FINALIZER: &str = "helix.dev/teardown";
/// Finalizer of a machine: its resource stays until its server is gone, so that a deletion is an order to replace it.
pub const REPLACEMENT_FINALIZER: &str = "helix.dev/replacement";
/// Field manager of every server-side apply.
pub const FIELD_MANAGER: &str = "helix";
/// Name of the control planes' pool, which no worker pool may take.
pub const CONTROL_PLANE_POOL: &str = "cp";
