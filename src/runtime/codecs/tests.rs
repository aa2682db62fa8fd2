//! The chain by itself: what is encoded, in which order, and what becomes of what cannot be decoded. Must not live here: whole
//! engines (`tests/integration/engine/data`).

use super::*;
use crate::model::{Event, EventId, Failure, RunStarted, Timestamp, WorkflowType};

/// Writes its name in front of what it encodes.
struct Named(&'static str);

impl PayloadCodec for Named {
    fn encoding(&self) -> &str {
        self.0
    }

    fn encode(&self, cx: &CodecContext<'_>, payload: &Payload) -> Result<Option<Payload>, CodecError> {
        if payload.data().as_ref() == b"\"as it is\"" {
            return Ok(None);
        }
        let text = format!("{} of {}: ", self.0, cx.workflow_id);
        let bytes = [text.as_bytes(), &payload.to_wire()].concat();
        Ok(Some(Payload::from_parts(self.0, bytes)))
    }

    fn decode(&self, cx: &CodecContext<'_>, payload: &Payload) -> Result<Payload, CodecError> {
        let text = format!("{} of {}: ", self.0, cx.workflow_id);
        let wire = payload.data().strip_prefix(text.as_bytes());
        Payload::from_wire(wire.ok_or_else(|| CodecError::new("whose?"))?).map_err(CodecError::new)
    }
}

/// Makes everything much larger.
struct Swollen;

impl PayloadCodec for Swollen {
    fn encoding(&self) -> &str {
        "binary/swollen"
    }

    fn encode(&self, _: &CodecContext<'_>, payload: &Payload) -> Result<Option<Payload>, CodecError> {
        let bytes = vec![0; payload.size() + limits::CODEC_GROWTH_MAX + 1];
        Ok(Some(Payload::from_parts("binary/swollen", bytes)))
    }

    fn decode(&self, _: &CodecContext<'_>, _: &Payload) -> Result<Payload, CodecError> {
        Err(CodecError::new("there is no way back"))
    }
}

fn id(text: &str) -> WorkflowId {
    WorkflowId::from_trusted(text)
}

/// The first turn of a run: its start, and its end.
fn turn(input: Payload, failure: Failure) -> Turn {
    let event = |id, attributes| Event {
        id: EventId(id),
        time: Timestamp::EPOCH,
        attributes,
    };
    let started = EventAttributes::WorkflowExecutionStarted(Arc::new(RunStarted {
        search_attributes: [("customer".to_owned(), "ada".into())].into(),
        memo: [("title".to_owned(), Payload::json("ada").unwrap())].into(),
        ..RunStarted::new(id("order-1"), RunId::NIL, WorkflowType::from_trusted("order"), input)
    }));
    let failed = EventAttributes::WorkflowExecutionFailed {
        failure,
        amended: false,
    };
    Turn {
        seq: 1,
        time: Timestamp::EPOCH,
        events: vec![event(1, started), event(2, failed)],
        pending: Vec::new(),
    }
}

fn example() -> Turn {
    let cause = Failure::new("CardDeclined", "card 4711 declined").with_details(Payload::json(&4711).unwrap());
    turn(
        Payload::json("secret").unwrap(),
        Failure::new("Failed", "it failed").caused_by(cause),
    )
}

fn input_of(turn: &Turn) -> &Payload {
    let EventAttributes::WorkflowExecutionStarted(started) = &turn.events[0].attributes else {
        panic!("a run begins with its start");
    };
    &started.input
}

fn codecs<const N: usize>(names: [&'static str; N]) -> Codecs {
    let mut codecs = Codecs::default();
    names.into_iter().for_each(|name| codecs.add(Named(name)));
    codecs
}

fn journaled(codecs: &Codecs, turn: &Turn) -> Turn {
    codecs.encode(&id("order-1"), turn).unwrap().into_owned()
}

#[test]
fn each_codec_encodes_what_the_one_before_has_made() {
    let both = codecs(["binary/first", "binary/second"]);
    let stored = journaled(&both, &example());
    let input = input_of(&stored);
    assert_eq!((input.encoding(), input.layers()), ("binary/second", 2));
    let text = String::from_utf8_lossy(input.data()).into_owned();
    assert!(text.starts_with("binary/second of order-1: "), "{text}");
    assert!(
        text.contains("binary/first of order-1: ") && text.contains("secret"),
        "{text}"
    );
    let shown = format!("{stored:?}");
    assert!(!shown.contains("4711)") && !shown.contains("secret"), "{shown}");
    assert!(
        shown.contains("ada"),
        "runs are found by their search attributes: {shown}"
    );

    // Whatever the order is now, and with codecs that are new.
    for names in [["binary/first", "binary/second"], ["binary/second", "binary/first"]] {
        let mut read = vec![stored.clone()];
        codecs(names).decode(RunId::NIL, &mut read).unwrap();
        assert_eq!(read, [example()]);
    }
}

#[test]
fn what_a_codec_leaves_and_what_has_no_value_stays_as_it_is() {
    let chain = codecs(["binary/first"]);
    for payload in [Payload::json("as it is").unwrap(), Payload::null()] {
        let stored = journaled(&chain, &turn(payload.clone(), Failure::canceled("")));
        assert_eq!((input_of(&stored), input_of(&stored).layers()), (&payload, 0));
    }
    // The user's own payload may claim an encoding of a codec: it is none of its layers.
    let claims = Payload::from_parts("binary/first", vec![1]);
    let mut read = vec![journaled(&chain, &turn(claims.clone(), Failure::canceled("")))];
    chain.decode(RunId::NIL, &mut read).unwrap();
    assert_eq!(input_of(&read[0]), &claims);
}

#[test]
fn what_cannot_be_decoded_is_kept_and_not_encoded_again() {
    let stored = journaled(&codecs(["binary/first"]), &example());
    let mut read = vec![stored.clone()];
    let error = Codecs::default().decode(RunId::NIL, &mut read).unwrap_err().to_string();
    assert!(
        error.contains("binary/first") && error.contains(&RunId::NIL.to_string()),
        "{error}"
    );
    assert_eq!(read[0], stored);
    assert_eq!(journaled(&codecs(["binary/second"]), &read[0]), stored);
}

#[test]
fn a_codec_may_not_make_much_more_of_a_payload() {
    let mut chain = Codecs::default();
    chain.add(Swollen);
    let error = chain.encode(&id("order-1"), &example()).unwrap_err().to_string();
    assert!(error.contains("more than 65536"), "{error}");
}

#[test]
fn messages_of_failures_are_encoded_when_asked_for() {
    let mut chain = codecs(["binary/first"]);
    assert!(format!("{:?}", journaled(&chain, &example())).contains("card 4711"));
    chain.encode_failure_messages();
    let stored = journaled(&chain, &example());
    let shown = format!("{stored:?}");
    assert!(
        !shown.contains("card 4711") && shown.contains("CardDeclined"),
        "{shown}"
    );
    assert_eq!(journaled(&chain, &stored), stored, "not a second time");
    let mut read = vec![stored.clone()];
    chain.decode(RunId::NIL, &mut read).unwrap();
    assert_eq!(read, [example()]);

    // A text that only looks like one is a text.
    let text = Failure::new("T", "Encoded failure \u{1}1\u{1}zz");
    let mut read = vec![turn(Payload::null(), text)];
    chain.decode(RunId::NIL, &mut read).unwrap();
    assert!(format!("{read:?}").contains("zz"));
}

#[cfg(feature = "compression")]
mod compressed {
    use super::*;

    fn round(payload: &Payload) -> (Option<Payload>, Payload) {
        let id = id("order-1");
        let cx = CodecContext { workflow_id: &id };
        let encoded = Compression::new().encode(&cx, payload).unwrap();
        let decoded = encoded
            .as_ref()
            .map(|encoded| Compression::new().decode(&cx, encoded).unwrap());
        (encoded, decoded.unwrap_or_else(|| payload.clone()))
    }

    #[test]
    fn only_what_becomes_smaller_is_compressed() {
        let long = Payload::json(&"a".repeat(10_000)).unwrap();
        let (encoded, decoded) = round(&long);
        let encoded = encoded.unwrap();
        assert_eq!((encoded.encoding(), &decoded), ("binary/zlib", &long));
        assert!(encoded.size() < 200, "{}", encoded.size());

        let noise: Vec<u8> = (0..10_000_u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        for payload in [
            Payload::json("short").unwrap(),
            Payload::from_parts("binary/plain", noise),
        ] {
            let (encoded, decoded) = round(&payload);
            assert!(encoded.is_none_or(|encoded| encoded.size() < payload.size()));
            assert_eq!(decoded, payload);
        }
    }

    #[test]
    fn a_bomb_and_damage_are_refused() {
        use std::io::Write;
        let id = id("order-1");
        let cx = CodecContext { workflow_id: &id };
        let mut bomb = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        let block = vec![0; 1024 * 1024];
        (0..32).for_each(|_| bomb.write_all(&block).unwrap());
        let bomb = Payload::from_parts("binary/zlib", bomb.finish().unwrap());
        let error = Compression::new().decode(&cx, &bomb).unwrap_err().to_string();
        assert!(error.contains("more than"), "{error}");
        let damaged = Payload::from_parts("binary/zlib", vec![1, 2, 3]);
        assert!(Compression::new().decode(&cx, &damaged).is_err());
    }
}

#[cfg(feature = "encryption")]
mod encrypted {
    use super::*;

    fn key(id: &str, byte: u8) -> EncryptionKey {
        EncryptionKey::new(id, &[byte; 32])
    }

    #[test]
    fn a_rotated_key_still_decrypts_and_the_newest_encrypts() {
        let id = id("order-1");
        let cx = CodecContext { workflow_id: &id };
        let payload = Payload::json("secret").unwrap().with_metadata("messageType", "a.B");
        let old = Encryption::new(key("old", 1));
        let encrypted = old.encode(&cx, &payload).unwrap().unwrap();
        assert_eq!(encrypted.metadata("encryption-key-id").unwrap().as_ref(), b"old");
        assert!(!encrypted.data().windows(6).any(|bytes| bytes == b"secret"));
        assert_ne!(
            old.encode(&cx, &payload).unwrap().unwrap(),
            encrypted,
            "never the same twice"
        );

        let rotated = Encryption::new(key("new", 2)).older(key("old", 1));
        assert_eq!(rotated.decode(&cx, &encrypted).unwrap(), payload);
        let again = rotated.encode(&cx, &payload).unwrap().unwrap();
        assert_eq!(again.metadata("encryption-key-id").unwrap().as_ref(), b"new");

        let error = Encryption::new(key("new", 2))
            .decode(&cx, &encrypted)
            .unwrap_err()
            .to_string();
        assert!(error.contains("\"old\"") && error.contains("known: new"), "{error}");
    }

    #[test]
    fn what_was_changed_or_moved_is_refused() {
        let (own, other) = (id("order-1"), id("order-2"));
        let cx = CodecContext { workflow_id: &own };
        let encryption = Encryption::new(key("k", 1)).older(key("l", 1));
        let payload = Payload::json("secret").unwrap();
        let encrypted = encryption.encode(&cx, &payload).unwrap().unwrap();
        let elsewhere = CodecContext { workflow_id: &other };
        assert!(encryption.decode(&elsewhere, &encrypted).is_err());
        for at in 0..encrypted.data().len() {
            let mut data = encrypted.data().to_vec();
            data[at] ^= 1;
            let changed = Payload::from_parts("binary/encrypted", data).with_metadata("encryption-key-id", "k");
            assert!(encryption.decode(&cx, &changed).is_err(), "byte {at}");
        }
        // The same key under another name is another key.
        let renamed = encrypted.clone().with_metadata("encryption-key-id", "l");
        assert!(encryption.decode(&cx, &renamed).is_err());
        let cut = Payload::from_parts("binary/encrypted", vec![1]).with_metadata("encryption-key-id", "k");
        assert!(encryption.decode(&cx, &cut).is_err());
    }

    #[test]
    fn keys_are_read_as_they_are_usually_kept_and_never_shown() {
        let digits = "00ff".repeat(16);
        let parsed = EncryptionKey::from_hex("k", &format!("{digits}\n")).unwrap();
        assert_eq!(format!("{parsed:?}"), "EncryptionKey(k)");
        assert!(!format!("{:?}", Encryption::new(parsed)).contains("ff"));
        for wrong in ["", "00ff", &"zz".repeat(32), &"é".repeat(32)] {
            let error = EncryptionKey::from_hex("k", wrong).unwrap_err().to_string();
            assert!(error.contains("64 hexadecimal digits"), "{error}");
        }
    }
}
