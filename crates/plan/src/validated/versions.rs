//! Which Talos can be made, and which Kubernetes runs on it.

use semver::Version;

use super::{Rejections, Versions};

/// A Talos minor version that Helix can make, and the Kubernetes minors that run on it (both 1.x; first and last).
/// Source: Talos' `pkg/machinery/compatibility`.
struct Supported {
    talos_minor: u64,
    kubernetes_minors: (u64, u64),
}

const SUPPORTED: [Supported; 2] = [
    Supported { talos_minor: 13, kubernetes_minors: (31, 36) },
    Supported { talos_minor: 14, kubernetes_minors: (32, 37) },
];

pub(super) fn validate(wanted: &helix_crds::Versions, rejections: &mut Rejections) -> Option<Versions> {
    let talos = parse("spec.versions.talos", &wanted.talos, "v1.13.9", rejections);
    let kubernetes = parse("spec.versions.kubernetes", &wanted.kubernetes, "v1.36.3", rejections);
    let (talos, kubernetes) = (talos?, kubernetes?);
    let Some(row) = SUPPORTED.iter().find(|row| talos.major == 1 && row.talos_minor == talos.minor) else {
        let minors: Vec<String> = SUPPORTED.iter().map(|row| format!("v1.{}.x", row.talos_minor)).collect();
        rejections.add(
            "spec.versions.talos",
            format!("Helix cannot make machines of Talos v{talos}"),
            format!("write one of {}", minors.join(", ")),
        );
        return None;
    };
    let (first, last) = row.kubernetes_minors;
    if kubernetes.major != 1 || !(first..=last).contains(&kubernetes.minor) {
        rejections.add(
            "spec.versions.kubernetes",
            format!("Kubernetes v{kubernetes} does not run on Talos v{talos}"),
            format!("write v1.{first}.x to v1.{last}.x"),
        );
        return None;
    }
    Some(Versions { talos, kubernetes })
}

fn parse(field: &str, text: &str, example: &str, rejections: &mut Rejections) -> Option<Version> {
    let version = text.strip_prefix('v').and_then(|number| Version::parse(number).ok());
    if version.is_none() {
        rejections.add(field, format!("`{text}` is no version"), format!("write it as in {example}"));
    }
    version
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(talos: &str, kubernetes: &str) -> Result<Versions, Rejections> {
        let mut rejections = Rejections::default();
        let wanted = helix_crds::Versions { talos: talos.to_owned(), kubernetes: kubernetes.to_owned() };
        validate(&wanted, &mut rejections).ok_or(rejections)
    }

    #[test]
    fn a_pair_that_fits_is_accepted() {
        assert!(check("v1.13.9", "v1.36.3").is_ok());
        assert!(check("v1.13.0", "v1.31.0").is_ok());
        assert!(check("v1.14.4", "v1.32.0").is_ok());
        assert!(check("v1.14.4", "v1.37.1").is_ok());
    }

    #[test]
    fn a_pair_that_does_not_fit_says_what_does() {
        let told = check("v1.13.9", "v1.37.0").expect_err("1.37 needs Talos 1.14").to_string();
        assert_eq!(
            told,
            "spec.versions.kubernetes: Kubernetes v1.37.0 does not run on Talos v1.13.9; write v1.31.x to v1.36.x"
        );
        let told = check("v1.14.4", "v1.31.9").expect_err("1.31 ends with Talos 1.13").to_string();
        assert!(told.ends_with("write v1.32.x to v1.37.x"), "{told}");
        let told = check("v1.12.0", "v1.33.0").expect_err("too old").to_string();
        assert!(told.ends_with("write one of v1.13.x, v1.14.x"), "{told}");
        assert!(check("1.13.9", "v1.33.0").is_err());
        assert!(check("latest", "v1.33.0").is_err());
    }
}
