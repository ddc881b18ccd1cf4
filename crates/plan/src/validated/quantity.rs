//! Amounts of bytes as Kubernetes writes them.

/// Reads a whole quantity of bytes, as in `40Gi` or `500G`; `None` where it is none, or not a whole number of bytes.
pub(super) fn bytes(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 10] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("Pi", 1 << 50),
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
        ("", 1),
    ];
    let (number, unit) = UNITS.iter().find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, unit)))?;
    number.parse::<u64>().ok()?.checked_mul(*unit)
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn quantities_read_as_kubernetes_reads_them() {
        assert_eq!(bytes("40Gi"), Some(40 << 30));
        assert_eq!(bytes("500G"), Some(500_000_000_000));
        assert_eq!(bytes("1024"), Some(1024));
        for wrong in ["", "Gi", "-1Gi", "1.5Gi", "1e3", "20000000Pi"] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }
}
