//! How S3 writes what may be anything: percent-encoding, hexadecimal, XML.

use std::fmt::Write as _;

/// The text behind a percent-encoding; `None` where it is none or no UTF-8.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                bytes.push(u8::try_from(digit(high)? * 16 + digit(low)?).ok()?);
                tail
            }
            (b'%', _) => return None,
            (other, tail) => {
                bytes.push(*other);
                tail
            }
        };
    }
    String::from_utf8(bytes).ok()
}

/// The percent-encoding that signatures are computed over; a slash stays in paths.
pub(super) fn encode(text: &str, in_path: bool) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || in_path && byte == b'/';
        match plain {
            true => encoded.push(char::from(byte)),
            // Writing to a String cannot fail.
            false => drop(write!(encoded, "%{byte:02X}")),
        }
        encoded
    })
}

/// Lower-case hexadecimal digits.
pub(super) fn hexadecimal(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A text as the content of an XML element.
pub(super) fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let text = "a/b c+d%é";
        assert_eq!(encode(text, true), "a/b%20c%2Bd%25%C3%A9");
        assert_eq!(encode(text, false), "a%2Fb%20c%2Bd%25%C3%A9");
        assert_eq!(decode(&encode(text, false)).as_deref(), Some(text));
        assert_eq!(decode("%"), None);
        assert_eq!(decode("%zz"), None);
        assert_eq!(decode("%ff"), None);
    }
}
