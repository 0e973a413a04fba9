//! AES-256-GCM-SIV (RFC 8452), by one of two makers: `aes-gcm-siv`, or AWS-LC with the
//! feature `aws-lc`. What one has sealed the other opens.

pub(crate) const NONCE: usize = 12;
pub(crate) const TAG: usize = 16;

#[cfg(feature = "aws-lc")]
pub(crate) use aws_lc::Cipher;
#[cfg(not(feature = "aws-lc"))]
pub(crate) use rust_crypto::Cipher;

#[cfg(any(test, not(feature = "aws-lc")))]
mod rust_crypto {
    use aes::Aes256Enc;
    use aes_gcm_siv::aead::KeyInit;
    use aes_gcm_siv::{AeadInOut, AesGcmSiv};

    use super::{NONCE, TAG};

    /// A key, made ready; wiped when dropped.
    pub(crate) struct Cipher(AesGcmSiv<Aes256Enc>);

    impl Cipher {
        pub(crate) fn new(key: &[u8; 32]) -> Self {
            Self(AesGcmSiv::new(key.into()))
        }

        /// Encrypts where the text lies.
        pub(crate) fn seal(&self, nonce: [u8; NONCE], bound: &[u8], text: &mut [u8]) -> [u8; TAG] {
            self.0
                .encrypt_inout_detached(&nonce.into(), bound, text.into())
                .expect("a text is far below the cipher's limit of 64 GiB")
                .into()
        }

        /// Decrypts a text and its tag where they lie; what is there is worth nothing if
        /// something is wrong.
        pub(crate) fn open(
            &self,
            nonce: [u8; NONCE],
            bound: &[u8],
            sealed: &mut [u8],
        ) -> Option<()> {
            let (text, tag) = sealed.split_last_chunk_mut::<TAG>()?;
            self.0
                .decrypt_inout_detached(&nonce.into(), bound, text.into(), &(*tag).into())
                .ok()
        }
    }
}

#[cfg(any(test, feature = "aws-lc"))]
mod aws_lc {
    use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};

    use super::{NONCE, TAG};

    /// A key, made ready; AWS-LC wipes what it frees.
    #[cfg_attr(
        not(feature = "aws-lc"),
        allow(dead_code, reason = "compared with the other")
    )]
    pub(crate) struct Cipher(LessSafeKey);

    #[cfg_attr(
        not(feature = "aws-lc"),
        allow(dead_code, reason = "compared with the other")
    )]
    impl Cipher {
        pub(crate) fn new(key: &[u8; 32]) -> Self {
            let key = UnboundKey::new(&AES_256_GCM_SIV, key);
            Self(LessSafeKey::new(key.expect("a key of 32 bytes")))
        }

        /// Encrypts where the text lies.
        pub(crate) fn seal(&self, nonce: [u8; NONCE], bound: &[u8], text: &mut [u8]) -> [u8; TAG] {
            let nonce = Nonce::assume_unique_for_key(nonce);
            let tag = self
                .0
                .seal_in_place_separate_tag(nonce, Aad::from(bound), text)
                .expect("a text is far below the cipher's limit of 64 GiB");
            tag.as_ref().try_into().expect("a tag has 16 bytes")
        }

        /// Decrypts a text and its tag where they lie; what is there is worth nothing if
        /// something is wrong.
        pub(crate) fn open(
            &self,
            nonce: [u8; NONCE],
            bound: &[u8],
            sealed: &mut [u8],
        ) -> Option<()> {
            let nonce = Nonce::assume_unique_for_key(nonce);
            let text = self.0.open_in_place(nonce, Aad::from(bound), sealed);
            text.ok().map(|_| ())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{TAG, aws_lc, rust_crypto};

    const KEY: [u8; 32] = [7; 32];
    const NONCE: [u8; 12] = [9; 12];

    #[test]
    fn each_opens_what_the_other_sealed_and_nothing_else() {
        let (rust, aws) = (rust_crypto::Cipher::new(&KEY), aws_lc::Cipher::new(&KEY));
        for length in [0, 1, 15, 16, 17, 19, 600, 70_000] {
            let text: Vec<u8> = (0..=255).cycle().take(length).collect();
            let (mut one, mut two) = (text.clone(), text.clone());
            let tag = rust.seal(NONCE, b"bound", &mut one);
            assert_eq!(aws.seal(NONCE, b"bound", &mut two), tag);
            assert_eq!(one, two, "{length} bytes");

            let other_tag = [tag[0] ^ 1; TAG];
            for (bound, tag, opens) in [
                (&b"bound"[..], &tag, true),
                (b"loose", &tag, false),
                (b"bound", &other_tag, false),
            ] {
                let sealed = [&one, &tag[..]].concat();
                let (mut by_rust, mut by_aws) = (sealed.clone(), sealed);
                assert_eq!(rust.open(NONCE, bound, &mut by_rust).is_some(), opens);
                assert_eq!(aws.open(NONCE, bound, &mut by_aws).is_some(), opens);
                for opened in [by_rust, by_aws] {
                    assert!(!opens || opened[..length] == text);
                }
            }
        }
    }
}
