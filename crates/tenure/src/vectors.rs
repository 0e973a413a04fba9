//! Known answers: what was derived, sealed and hashed once must come out the same for
//! ever, or tokens and payloads in use are lost. Each is computed a second time, from the
//! description alone, by another implementation (`aws-lc-rs`).

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use bytes::Bytes;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use tenure_store::Payload;

use crate::attributes::{Attributes, encode_value};
use crate::keys::NamespaceKeys;
use crate::payload::Sealing;
use crate::secret::Secret;
use crate::test_support::{Counting, NOW, keys, master, portal, random_bytes};
use crate::{KeyRing, PeekRight};

const SECRET: &str = "000102030405060708090a0b0c0d0e0f";
const SESSION_ID: &str = "5f9cdc18-a372-8f00-b366-87fea3ab434a";
const KEY_ID: &str = "bc6fb7";
const TOKEN_KEY: &str = "ef2cdfbe5247a5111127c716e3dd5b12733e0c23c717117cd78c03b9ce172c58";
const PAYLOAD_KEY: &str = "19c47e70f7c82bcb95493bd538b55fd13ccc5420d8b029d4c3049b319f865852";
const ROTATION: u32 = 0x01_02_03;
const TOKEN: &str = "Abxvt0BBQkNERUZHSElKSzqWqL1ODblE8Vc7vNGCkI8LMtKgzC9Y0fR06inHO6y_0uve";
const FRAME: &str = "0102046361727403920709057468656d6505a46461726b02\
     070000000100000000000000ffffffffffffffffffffffff";
const PAYLOAD: &str = "01bc6fb7808182838485868788898a8b89a8409aa4b32a2886c17ebf1ff227e8dc4033\
                       6fec2ff221c0c5f001856e69f21f4dcec4c61fd9e555cc372b01d0126796e837e86b1c2307\
                       0d4692b940672820";
const RIGHT: &str =
    "tenure-peek-1:portal:vG-37yzfvlJHpRERJ8cW491bEnM-DCPHFxF814wDuc4XLFh__________7Y9AfA";

fn bytes(hex: &str) -> Vec<u8> {
    HEXLOWER.decode(hex.as_bytes()).expect("hexadecimal")
}

fn secret() -> Secret {
    Secret::draw(&Counting(0)).expect("it counts")
}

/// The second implementation's keys: HKDF-SHA-256 with the salt `tenure`, and the label
/// and the length-prefixed application as info.
fn derived(label: &str, length: usize) -> Vec<u8> {
    struct Length(usize);
    impl KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let mut key = vec![0; length];
    Salt::new(HKDF_SHA256, b"tenure")
        .extract(&random_bytes(1))
        .expand(&[label.as_bytes(), b"\x06portal"], Length(length))
        .and_then(|okm| okm.fill(&mut key))
        .expect("a short key");
    key
}

/// The second implementation's answer to something sealed.
fn opened(label: &str, key: &str, sealed: &[u8], bound_to: &[u8]) -> Vec<u8> {
    let (header, rest) = sealed.split_at(4);
    let (nonce, rest) = rest.split_at(12);
    let context = [label.as_bytes(), header, b"\x01\x06portal", bound_to].concat();
    let key = UnboundKey::new(&AES_256_GCM_SIV, &bytes(key)).expect("32 bytes");
    let mut text = rest.to_vec();
    let length = LessSafeKey::new(key)
        .open_in_place(
            Nonce::try_assume_unique_for_key(nonce).expect("12 bytes"),
            Aad::from(context),
            &mut text,
        )
        .expect("it opens")
        .len();
    text.truncate(length);
    text
}

#[test]
fn keys_are_derived_as_ever() {
    assert_eq!(derived("tenure/v1/token", 32), bytes(TOKEN_KEY));
    assert_eq!(derived("tenure/v1/payload", 32), bytes(PAYLOAD_KEY));
    assert_eq!(derived("tenure/v1/key id", 3), bytes(KEY_ID));
    // That these are the keys in use is shown by what is sealed with them, below.
    assert_eq!(
        keys(&[1], &portal()).tokens.primary().id().to_vec(),
        bytes(KEY_ID)
    );
}

#[test]
fn an_id_is_made_of_its_secret_as_ever() {
    let id = secret().session_id();
    assert_eq!(id.to_string(), SESSION_ID);

    let input = [b"tenure/v1/session id".as_slice(), &bytes(SECRET)].concat();
    let mut hash = digest(&SHA256, &input).as_ref()[..16].to_vec();
    hash[6] = hash[6] & 0x0f | 0x80;
    hash[8] = hash[8] & 0x3f | 0x80;
    assert_eq!(id.as_bytes().as_slice(), hash);
}

#[test]
fn a_token_is_sealed_as_ever() {
    let keys = keys(&[1], &portal());
    let token = keys
        .tokens
        .seal_token(&secret(), ROTATION, &Counting(0x40))
        .expect("sealed");
    assert_eq!(token.as_str(), TOKEN);

    let sealed = BASE64URL_NOPAD.decode(TOKEN.as_bytes()).expect("base64");
    let text = [bytes(SECRET), vec![1, 2, 3]].concat();
    assert_eq!(opened("tenure/v1/token", TOKEN_KEY, &sealed, &[]), text);
}

#[test]
fn a_frame_is_encoded_as_ever() {
    let mut attributes = Attributes::default();
    let theme = encode_value("theme", "dark").expect("encodes");
    let cart = encode_value("cart", &[7, 9]).expect("encodes");
    attributes.set("theme", theme);
    attributes.set("cart", cart);
    attributes.note_update(7, 1);
    attributes.note_update(u32::MAX, u64::MAX);
    assert_eq!(HEXLOWER.encode(&attributes.encode()), FRAME);
}

#[test]
fn a_frame_of_format_1_is_read_for_ever() {
    let attributes = Attributes::decode(bytes(FRAME).into()).expect("decodes");
    assert_eq!(attributes.names().collect::<Vec<_>>(), ["cart", "theme"]);
    assert_eq!(
        attributes.get("theme"),
        Some(&Bytes::from_static(b"\xa4dark"))
    );
    assert_eq!(
        attributes.get("cart"),
        Some(&Bytes::from_static(&[0x92, 7, 9]))
    );
    assert!(attributes.was_updated_by(1) && attributes.was_updated_by(u64::MAX));
    assert!(!attributes.was_updated_by(2));
}

#[test]
fn a_payload_is_sealed_as_ever() {
    let keys = keys(&[1], &portal());
    let id = secret().session_id();
    let payload = keys
        .seal_payload(id, bytes(FRAME), &Counting(0x80))
        .expect("sealed");
    assert_eq!(HEXLOWER.encode(payload.as_bytes()), PAYLOAD);

    let again = opened(
        "tenure/v1/payload",
        PAYLOAD_KEY,
        &bytes(PAYLOAD),
        id.as_bytes(),
    );
    assert_eq!(again, bytes(FRAME));
    let frame = keys
        .open_payload(id, Payload::new(bytes(PAYLOAD)), NOW)
        .expect("opens");
    assert_eq!(frame, bytes(FRAME));
}

#[test]
fn a_payload_in_the_clear_is_a_zero_and_its_frame_as_ever() {
    let keys = NamespaceKeys {
        sealing: Sealing::Off,
        ..keys(&[1], &portal())
    };
    let id = secret().session_id();
    let payload = keys
        .seal_payload(id, bytes(FRAME), &Counting(0x80))
        .expect("written");
    assert_eq!(payload.as_bytes(), [vec![0], bytes(FRAME)].concat());
}

#[test]
fn a_right_to_peek_is_written_as_ever() {
    let ring = KeyRing::new("any", master(1)).expect("a good name");
    let right = ring.peek_right("portal").expect("a good name");
    assert_eq!(right.expose(), RIGHT);

    let key = [bytes(KEY_ID), bytes(TOKEN_KEY), bytes("7fffffffffffffff")].concat();
    let input = [b"tenure/v1/peek right".as_slice(), b"portal\0", &key].concat();
    let hash = digest(&SHA256, &input);
    let text = BASE64URL_NOPAD.encode(&[&key, &hash.as_ref()[..4]].concat());
    assert_eq!(RIGHT, format!("tenure-peek-1:portal:{text}"));
    assert!(PeekRight::from_text(RIGHT).is_ok());
}
