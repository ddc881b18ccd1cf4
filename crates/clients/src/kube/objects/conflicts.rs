//! Fields that others have set: what the API server tells when an apply is refused for them.

/// Why a cause of a refusal is there, by the API conventions.
const FIELD_MANAGER_CONFLICT: &str = "FieldManagerConflict";

/// The fields that are in conflict, each with its manager; none where that is not what the error is about.
pub(super) fn fields(error: &kube::Error) -> Vec<(String, String)> {
    let kube::Error::Api(status) = error else { return Vec::new() };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let conflicts = causes.filter(|cause| cause.reason == FIELD_MANAGER_CONFLICT);
    conflicts.map(|cause| (cause.field.clone(), manager(&cause.message))).collect()
}

/// The manager's name stands in the message alone: `conflict with "kubectl" using apps/v1`. A message of another form is
/// told as it is.
fn manager(message: &str) -> String {
    let quoted = message.split_once('"').and_then(|(_, rest)| rest.split_once('"'));
    quoted.map_or_else(|| message.to_owned(), |(manager, _)| manager.to_owned())
}

/// Whether people alone have set these fields, with kubectl: it calls itself `kubectl`, or so with what it did after a dash.
pub(super) fn are_by_hand(fields: &[(String, String)]) -> bool {
    !fields.is_empty() && fields.iter().all(|(_, manager)| manager.split('-').next() == Some("kubectl"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_is_named() {
        assert_eq!(manager("conflict with \"kubectl-edit\" using apps/v1"), "kubectl-edit");
        assert_eq!(manager("conflict with somebody"), "conflict with somebody");
    }

    #[test]
    fn only_kubectl_is_a_hand() {
        let by = |managers: &[&str]| {
            let fields: Vec<_> = managers.iter().map(|it| (".spec.replicas".to_owned(), (*it).to_owned())).collect();
            are_by_hand(&fields)
        };
        assert!(by(&["kubectl-edit", "kubectl"]));
        assert!(!by(&["kubectl-edit", "horizontal-pod-autoscaler"]));
        assert!(!by(&["kubectlish"]) && !by(&[]));
    }
}
