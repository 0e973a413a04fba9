//! What a session holds here: some 512 bytes of what sessions hold in practice.

use serde::{Deserialize, Serialize};

/// The attributes of one session, each under the name of its field.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Visit {
    pub(crate) user: u64,
    pub(crate) roles: Vec<String>,
    pub(crate) csrf: String,
    pub(crate) cart: Vec<Item>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) article: String,
    pub(crate) title: String,
    pub(crate) count: u32,
    pub(crate) cents: u32,
}

impl Visit {
    /// Of this user.
    pub(crate) fn of(user: u64) -> Self {
        let item = |n: u64, title: &str| Item {
            article: format!("{:012}", user * 31 + n),
            title: title.to_owned(),
            count: 1,
            cents: 1_999,
        };
        Self {
            user,
            roles: ["customer", "reviewer", "newsletter"]
                .map(str::to_owned)
                .into(),
            csrf: format!("{:064x}", u128::from(user) << 64 | 0x5bd1_e995),
            cart: vec![
                item(1, "Kettle, brushed steel, 1.7 litres, with thermometer"),
                item(2, "Darjeeling, first flush, 250 g, whole leaf, organic"),
                item(3, "Tea strainer with handle and drip bowl, stainless"),
            ],
        }
    }

    /// The whole visit as one text, for what stores bytes and does not ask what they mean.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("it has no maps")
    }
}
