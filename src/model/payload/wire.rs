//! A whole payload as one block of bytes: what codecs encode. The form is that of Temporal's `Payload` message in protobuf,
//! so that what one of the two encoded with a codec, the other can decode. Must not live here: other messages of protobuf.
//!
//! ```text
//! message Payload { map<string, bytes> metadata = 1; bytes data = 2; }
//! ```

use bytes::Bytes;

use super::{Other, Payload};

pub(super) const ENCODING: &str = "encoding";

/// Field 1, 2 and 3 of a message, as blocks of bytes.
const FIELDS: [u8; 3] = [0x0a, 0x12, 0x1a];

/// The bytes are no payload in Temporal's wire form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a payload in protobuf's form")]
pub struct WireError;

impl Payload {
    /// The payload in Temporal's wire form: metadata, encoding and bytes.
    #[must_use]
    pub fn to_wire(&self) -> Vec<u8> {
        let mut wire = Vec::with_capacity(self.data.len() + 64);
        let encoding = (ENCODING, self.encoding().as_bytes());
        let metadata = self.all_metadata().map(|(key, value)| (key, value.as_ref()));
        for (key, value) in std::iter::once(encoding).chain(metadata) {
            let mut entry = Vec::new();
            write_block(&mut entry, 0, key.as_bytes());
            write_block(&mut entry, 1, value);
            write_block(&mut wire, 0, &entry);
        }
        write_block(&mut wire, 1, &self.data);
        wire
    }

    /// The payload in Temporal's wire form.
    ///
    /// # Errors
    /// When the bytes are none.
    pub fn from_wire(wire: &[u8]) -> Result<Self, WireError> {
        let mut data = Bytes::new();
        let mut other = Other::default();
        for (field, block) in read_fields(wire)? {
            match field {
                0 => read_metadata(block, &mut other)?,
                1 => data = Bytes::copy_from_slice(block),
                _ => return Err(WireError),
            }
        }
        other.metadata.sort();
        if &*other.encoding == super::NULL {
            return Ok(Self::null());
        }
        Ok(Self::from_all(data, other))
    }
}

fn read_metadata(entry: &[u8], other: &mut Other) -> Result<(), WireError> {
    let (mut key, mut value) = (&[][..], &[][..]);
    for (field, block) in read_fields(entry)? {
        match field {
            0 => key = block,
            1 => value = block,
            _ => return Err(WireError),
        }
    }
    let text = |bytes| std::str::from_utf8(bytes).map_err(|_| WireError);
    match text(key)? {
        ENCODING => other.encoding = text(value)?.into(),
        key => other.metadata.push((key.into(), Bytes::copy_from_slice(value))),
    }
    Ok(())
}

/// Writes a field that is a block of bytes; `field` counts from 0.
pub(in crate::model) fn write_block(wire: &mut Vec<u8>, field: usize, block: &[u8]) {
    wire.extend(FIELDS.get(field));
    let mut length = block.len();
    while length >= 0x80 {
        wire.push((length % 0x80) as u8 | 0x80);
        length /= 0x80;
    }
    wire.push(length as u8);
    wire.extend_from_slice(block);
}

/// The fields of a message that has blocks of bytes only, in order, each with its number from 0.
pub(in crate::model) fn read_fields(mut wire: &[u8]) -> Result<Vec<(usize, &[u8])>, WireError> {
    let mut fields = Vec::new();
    while let Some((tag, rest)) = wire.split_first() {
        let field = FIELDS.iter().position(|known| known == tag).ok_or(WireError)?;
        let (length, rest) = read_length(rest)?;
        let (block, rest) = rest.split_at_checked(length).ok_or(WireError)?;
        fields.push((field, block));
        wire = rest;
    }
    Ok(fields)
}

fn read_length(wire: &[u8]) -> Result<(usize, &[u8]), WireError> {
    let mut length = 0_usize;
    // Five bytes of seven bits each are more than any payload has.
    for (place, byte) in wire.iter().enumerate().take(5) {
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok((length, wire.get(place + 1..).unwrap_or_default()));
        }
    }
    Err(WireError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_that_of_temporal() {
        let payload = Payload::json_bytes(b"7".to_vec()).unwrap();
        // As Temporal's Go SDK marshals it.
        let expected = b"\x0a\x16\x0a\x08encoding\x12\x0ajson/plain\x12\x017";
        assert_eq!(payload.to_wire(), expected);
        assert_eq!(Payload::from_wire(expected).unwrap(), payload);
    }

    #[test]
    fn every_payload_survives_and_damage_is_an_error() {
        let long = Payload::from_parts("binary/plain", vec![7; 70_000]);
        let named = Payload::from_parts("binary/protobuf", vec![1])
            .with_metadata("messageType", "a.B")
            .with_metadata("a", vec![0, 255])
            .with_metadata("messageType", "a.C");
        for payload in [Payload::null(), Payload::json("x").unwrap(), long, named] {
            let wire = payload.to_wire();
            assert_eq!(Payload::from_wire(&wire).unwrap(), payload);
            // Cut between two fields it is a payload, but another one; of no value that field has no bytes.
            let cuts = if payload.is_null() {
                0..0
            } else {
                0..wire.len().min(200)
            };
            for end in cuts {
                assert_ne!(Payload::from_wire(&wire[..end]), Ok(payload.clone()), "cut at {end}");
            }
        }
        assert_eq!(Payload::from_wire(b"\xff"), Err(WireError));
        assert_eq!(
            Payload::from_wire(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff]),
            Err(WireError)
        );
    }
}
