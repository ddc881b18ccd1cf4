//! Kubernetes' quantities, as far as it takes to see that two texts mean the same.

use rust_decimal::Decimal;
use serde_json::Value;

/// Whether both are quantities of the same size.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    matches!((size(a), size(b)), (Some(a), Some(b)) if a == b)
}

fn size(value: &Value) -> Option<Decimal> {
    match value {
        Value::Number(number) => number.to_string().parse().ok(),
        Value::String(text) => {
            let end = text.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(text.len());
            let (number, unit) = text.split_at(end);
            number.parse::<Decimal>().ok()?.checked_mul(scale(unit)?)
        }
        _ => None,
    }
}

fn scale(unit: &str) -> Option<Decimal> {
    let binary = |power: u32| 1024_i64.checked_pow(power).map(Decimal::from);
    let decimal = |power: u32| 1000_i64.checked_pow(power).map(Decimal::from);
    match unit {
        "" => decimal(0),
        "n" => Some(Decimal::new(1, 9)),
        "u" => Some(Decimal::new(1, 6)),
        "m" => Some(Decimal::new(1, 3)),
        "k" => decimal(1),
        "M" => decimal(2),
        "G" => decimal(3),
        "T" => decimal(4),
        "P" => decimal(5),
        "E" => decimal(6),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sizes_are_compared_and_not_texts() {
        for (a, b) in [("1000m", "1"), ("1024Mi", "1Gi"), ("1.5", "1500m"), ("1k", "1000"), ("0.5Gi", "512Mi")] {
            assert!(same(&json!(a), &json!(b)), "{a} {b}");
        }
        for (a, b) in [("1", "2"), ("1Gi", "1G"), ("one", "one"), ("", "0"), ("1Zi", "1Zi")] {
            assert!(!same(&json!(a), &json!(b)), "{a} {b}");
        }
        assert!(same(&json!(2), &json!("2")) && !same(&json!(true), &json!("1")));
    }
}
