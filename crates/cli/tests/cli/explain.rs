//! `helix explain` of a file.

use crate::{example, helix, path};

#[test]
fn a_file_is_explained_from_nothing() {
    let minimal = example("minimal");
    let run = helix(&["explain", "-f", path(&minimal)]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    for line in [
        "helix-system/dev, from nothing",
        "machines are starting: dev-cp-0, dev-cp-1, dev-cp-2",
        "joining etcd: dev-cp-1, dev-cp-2",
        "ImmutableSubstrate  Ready",
        "SecurityWeave       Ready",
        "AiAgentic           Ready",
    ] {
        assert!(run.out.contains(line), "`{line}` is not in\n{}", run.out);
    }
}
